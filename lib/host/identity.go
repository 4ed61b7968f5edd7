package host

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"iwx/lib/atomicfile"
	"iwx/lib/fault"
)

// ReadMachineID returns the machine-id of the server below root: 32 lower-case
// hexadecimal digits, machine-id(5). "uninitialized", which golden images
// carry, is an error: two servers would be taken for one.
func ReadMachineID(root string) (string, error) {
	p := At(root)
	data, err := os.ReadFile(p.MachineID)
	if err != nil {
		return "", fault.Hint(err, "%s", machineIDHint(p))
	}
	id := strings.TrimSpace(string(data))
	if !validMachineID(id) {
		err := fault.New(fault.Failed, "%s: %.40q is not a machine-id (32 hexadecimal digits)", p.MachineID, id)
		return "", fault.Hint(err, "%s", machineIDHint(p))
	}
	return id, nil
}

// EnsureMachineID returns the machine-id of the server below root. Below a root
// directory of its own a missing one is made (random, 0444); the server's own
// is never written, systemd-machine-id-setup(1) does that. Repeating it is safe.
func EnsureMachineID(root string) (string, error) {
	p := At(root)
	id, err := ReadMachineID(root)
	if !p.Own() || !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	raw := make([]byte, 16)
	rand.Read(raw) // never fails, crypto/rand
	id = hex.EncodeToString(raw)
	return id, writeIdentity(p.MachineID, id, 0o444)
}

// SetHostname writes the host name of a root directory of its own; the name of
// the server itself is hostnamectl(1)'s to set, and asking for it is an error.
// Repeating it is safe.
func SetHostname(root, name string) error {
	p := At(root)
	if !p.Own() {
		return fault.New(fault.Usage, "host name %q can be set below a root directory only", name)
	}
	if !validHostname(name) {
		return fault.New(fault.Usage, "%.80q is not a host name", name)
	}
	return writeIdentity(p.Hostname, name, 0o644)
}

func writeIdentity(path, line string, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, []byte(line+"\n"), mode)
}

func machineIDHint(p Paths) string {
	if p.Own() {
		return "run iwx-cluster-setup with this root directory first"
	}
	return "systemd-machine-id-setup"
}

// validMachineID refuses the all-zero id too, as machine-id(5) does.
func validMachineID(id string) bool {
	raw, err := hex.DecodeString(id)
	return err == nil && len(raw) == 16 && id == strings.ToLower(id) && strings.Trim(id, "0") != ""
}

// validHostname checks for dot-separated labels of letters, digits and hyphens,
// RFC 1123 §2.1.
func validHostname(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label {
			return false
		}
		if strings.ContainsFunc(label, notHostnameRune) {
			return false
		}
	}
	return true
}

func notHostnameRune(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
		return false
	}
	return true
}
