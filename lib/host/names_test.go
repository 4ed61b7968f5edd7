package host

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"iwx/lib/fault"
)

// directory puts a getent(1) before the system's that knows accounts in no
// file, and returns the file in which it records its queries.
func directory(t *testing.T, script string) (asked string) {
	t.Helper()
	dir := t.TempDir()
	asked = filepath.Join(dir, "asked")
	text := "#!/bin/sh\necho \"$*\" >>" + asked + "\n" + script
	if err := os.WriteFile(filepath.Join(dir, "getent"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return asked
}

const ldap = `case "$1 $2" in
"passwd ldap.user"|"passwd 70001") echo "ldap.user:*:70001:70002:L. User:/home/ldap:/bin/bash" ;;
"passwd other") echo "other:*:70009:70002::/:/bin/sh" ;;
"group staff@example.org"|"group 70002") echo "staff@example.org:*:70002:ldap.user" ;;
"initgroups ldap.user") echo "ldap.user  70002 70003 50" ;;
"initgroups daemon") echo "daemon 70003" ;;
*) exit 2 ;;
esac
`

func TestLookup(t *testing.T) {
	asked := directory(t, ldap)
	for _, name := range []string{"ldap.user", "70001"} {
		a, err := LookupUser(t.Context(), name)
		if want := (Account{User{"ldap.user", 70001, 70002}, "/home/ldap"}); err != nil || a != want {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	for _, name := range []string{"staff@example.org", "70002"} {
		if group, gid, err := LookupGroup(t.Context(), name); err != nil || group != "staff@example.org" || gid != 70002 {
			t.Errorf("%s: %s %d, %v", name, group, gid, err)
		}
	}
	if a, err := LookupUser(t.Context(), "daemon"); err != nil || a.UID != 1 || a.Home != "/usr/sbin" {
		t.Errorf("daemon, of the file: %+v, %v", a, err)
	}
	if a, err := LookupUser(t.Context(), "0"); err != nil || a.Name != "root" {
		t.Errorf("root by number: %+v, %v", a, err)
	}
	if _, gid, err := LookupGroup(t.Context(), "daemon"); err != nil || gid != 1 {
		t.Errorf("group daemon: %d, %v", gid, err)
	}
	for _, name := range []string{"nobody-of-that-name", "", "-x", "a:b", "4000000000"} {
		if a, err := LookupUser(t.Context(), name); !errors.Is(err, ErrNoAccount) {
			t.Errorf("%q: %+v, %v", name, a, err)
		}
		if _, _, err := LookupGroup(t.Context(), name); !errors.Is(err, ErrNoAccount) {
			t.Errorf("group %q: %v", name, err)
		}
	}
	text, err := os.ReadFile(asked)
	if err != nil || strings.Contains(string(text), "daemon") || strings.Contains(string(text), "-x") || strings.Contains(string(text), "passwd\n") {
		t.Errorf("asked for what it need not be, or for a list: %s, %v", text, err)
	}
}

// TestOtherNumber: getent(1) finds root for 4294967296, and daemon for +1.
func TestOtherNumber(t *testing.T) {
	directory(t, `case "$1 $2" in
passwd*4294967296) echo "root:x:0:0:root:/root:/bin/sh" ;;
group*4294967296) echo "root:x:0:" ;;
passwd*70001) echo "ldap.user:*:70001:70002::/:/bin/sh" ;;
group*70002) echo "staff:*:70002:" ;;
passwd*LDAP.USER) echo "ldap.user:*:70001:70002::/:/bin/sh" ;;
group*STAFF) echo "staff:*:70002:" ;;
passwd*12345) echo "12345:*:70009:70009::/:/bin/sh" ;;
group*12345) echo "12345:*:70009:" ;;
*) exit 2 ;;
esac
`)
	for _, key := range []string{"4294967296", "+70001", "\r70001", "\v70001", "+70002", "\f70002"} {
		if a, err := LookupUser(t.Context(), key); !errors.Is(err, ErrNoAccount) {
			t.Errorf("user %q is %+v, %v", key, a, err)
		}
		if name, gid, err := LookupGroup(t.Context(), key); !errors.Is(err, ErrNoAccount) {
			t.Errorf("group %q is %s, %d, %v", key, name, gid, err)
		}
	}
	for key, want := range map[string]uint32{"70001": 70001, "0070001": 70001, "LDAP.USER": 70001, "12345": 70009} {
		if a, err := LookupUser(t.Context(), key); err != nil || a.UID != want {
			t.Errorf("user %q is %+v, %v", key, a, err)
		}
	}
	for key, want := range map[string]uint32{"70002": 70002, "0070002": 70002, "STAFF": 70002, "12345": 70009} {
		if name, gid, err := LookupGroup(t.Context(), key); err != nil || gid != want {
			t.Errorf("group %q is %s, %d, %v", key, name, gid, err)
		}
	}
}

func TestGroupsOf(t *testing.T) {
	directory(t, ldap)
	a, err := LookupUser(t.Context(), "ldap.user")
	if err != nil {
		t.Fatal(err)
	}
	if groups, err := GroupsOf(t.Context(), a); err != nil || !slices.Equal(groups, []uint32{70002, 70003, 50}) {
		t.Errorf("%d, %v", groups, err)
	}
	// A user of the files may be in a group of the directory.
	local := Account{User: User{"daemon", 1, 1}}
	if groups, err := GroupsOf(t.Context(), local); err != nil || !slices.Equal(groups, []uint32{1, 70003}) {
		t.Errorf("daemon: %d, %v", groups, err)
	}
	directory(t, "exit 1") // one that does not know initgroups
	if groups, err := GroupsOf(t.Context(), local); err != nil || !slices.Equal(groups, []uint32{1}) {
		t.Errorf("by the files: %d, %v", groups, err)
	}
}

// TestNoAnswer: a missing answer is not the same as no user.
func TestNoAnswer(t *testing.T) {
	directory(t, "echo down >&2; exit 3")
	if _, err := LookupUser(t.Context(), "ldap.user"); err == nil || errors.Is(err, ErrNoAccount) || fault.CodeOf(err) != fault.Busy || !strings.Contains(err.Error(), "down") {
		t.Errorf("a directory that is down: %v", err)
	}
	directory(t, "exec sleep 600")
	begun := time.Now()
	_, err := LookupUser(t.Context(), "ldap.user")
	if errors.Is(err, ErrNoAccount) || fault.CodeOf(err) != fault.Busy || !strings.Contains(err.Error(), "has not answered within 5s") {
		t.Errorf("a directory that hangs: %v", err)
	}
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("it was waited for %v", took)
	}
	if _, err := GroupsOf(t.Context(), Account{User: User{"daemon", 1, 1}}); err == nil {
		t.Error("groups of which nothing is known were returned")
	}
}

// TestNoGetent: the error says why the name service was not asked.
func TestNoGetent(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := LookupUser(t.Context(), "ldap.user")
	if !errors.Is(err, ErrNoAccount) || !strings.Contains(err.Error(), "getent(1) is not installed") || !strings.Contains(Unasked(err), "getent(1) is not installed") || Unasked(ErrNoAccount) != "" {
		t.Errorf("%v", err)
	}
	if groups, err := GroupsOf(t.Context(), Account{User: User{"daemon", 1, 1}}); err != nil || !slices.Equal(groups, []uint32{1}) {
		t.Errorf("groups: %d, %v", groups, err)
	}
}

func TestKnown(t *testing.T) {
	asked := directory(t, ldap)
	here := []User{{"ann", 2001, 2001}, {"bob", 2002, 2002}}
	there := []User{{"ann", 2001, 2001}, {"carl", 70001, 100}, {"other", 2002, 100}}
	known, err := Known(t.Context(), here, there, time.Minute)
	if want := []User{{"ldap.user", 70001, 70002}, {"other", 70009, 70002}}; err != nil || !slices.Equal(known, want) {
		t.Errorf("%v, %v", known, err)
	}
	if text, _ := os.ReadFile(asked); string(text) != "passwd carl\npasswd 70001\npasswd other\n" {
		t.Errorf("asked:\n%s", text)
	}
}
