package attempt

import (
	"os/exec"
	"testing"
)

// BenchmarkTrue runs /bin/true from Start to Remove, beside a bare fork and exec.
func BenchmarkTrue(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command("/bin/true").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	spec := Spec{Argv: []string{"/bin/true"}}
	b.Run("session", func(b *testing.B) {
		c := newChild(b, b.TempDir(), nil)
		for b.Loop() {
			run(b, c, spec)
		}
	})
	b.Run("group", func(b *testing.B) {
		groups, err := OpenGroups(owner)
		if err != nil {
			b.Skip(err)
		}
		c := newChild(b, b.TempDir(), groups)
		for b.Loop() {
			run(b, c, spec)
		}
	})
}
