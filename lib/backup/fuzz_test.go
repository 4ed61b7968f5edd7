package backup

import (
	"archive/tar"
	"bytes"
	"os"
	"testing"
	"time"
)

func FuzzOpen(f *testing.F) {
	good, identity := golden(f)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(magic))
	f.Add([]byte(magic + "-> X25519 AAAA\nAAAA\n--- AAAA\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		parent := t.TempDir()
		_, err := Open(bytes.NewReader(data), identity, parent)
		if (err == nil) != bytes.Equal(data, good) {
			t.Fatalf("%v for %d bytes", err, len(data))
		}
		if left, _ := os.ReadDir(parent); err != nil && len(left) != 0 {
			t.Fatalf("left behind: %v", left)
		}
	})
}

// FuzzManifest feeds what a forger could put first into the archive.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"format":1,"files":[{"name":"a/../b","size":1}],"epoch":"1","head_seq":"1"}`))
	f.Add([]byte(`{"format":1,"files":[],"epoch":"1","head_seq":"1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		if w.WriteHeader(header(manifestName, 0o600, int64(len(data)), time.Unix(0, 0))) != nil {
			return
		}
		w.Write(data)
		w.Close()
		m, err := readManifest(tar.NewReader(&out))
		if err == nil && (m.check() != nil || sealedSize(m) <= 0) {
			t.Errorf("unchecked manifest %+v", m)
		}
		if err != nil && m.Format != 0 {
			t.Errorf("a manifest beside %v", err)
		}
	})
}
