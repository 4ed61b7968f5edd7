package host

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestReadAccounts(t *testing.T) {
	p := At(t.TempDir())
	if a, err := ReadAccounts(p); err != nil || len(a.Names)+len(a.IDs) != 0 {
		t.Errorf("without files: %+v, %v", a, err)
	}
	if err := os.MkdirAll(filepath.Dir(p.Passwd), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		p.Passwd: "root:x:0:0:root:/root:/bin/bash\nann:x:20000:100::/home/ann:/bin/sh\n+nis::::::\nbroken\n",
		p.Group:  "root:x:0:\nstaff:x:50:ann,bob\nodd:x:many:\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, err := ReadAccounts(p)
	if err != nil {
		t.Fatal(err)
	}
	if names := slices.Sorted(maps.Keys(a.Names)); !slices.Equal(names, []string{"ann", "root", "staff"}) {
		t.Errorf("names %q", names)
	}
	if ids := slices.Sorted(maps.Keys(a.IDs)); !slices.Equal(ids, []uint32{0, 50, 20000}) {
		t.Errorf("ids %d", ids)
	}
}
