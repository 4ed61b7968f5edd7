package cli

import (
	"strings"
	"testing"
)

// TestEmptyValues: a flag or argument that a script's empty variable leaves without a
// value does not mean the default.
func TestEmptyValues(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string // "" for success
	}{
		{[]string{"add", "--stdin", "", "--", "true"}, "--stdin"},
		{[]string{"add", "--stdin=", "--", "true"}, "--stdin"},
		{[]string{"add", "-n", "", "--", "true"}, "--node"},
		{[]string{"--root", "", "list"}, "--root"},
		{[]string{"list", "-o", ""}, "--columns"},
		{[]string{"token", "revoke", ""}, "ID"},
		{[]string{"token", "revoke", "t1", ""}, ""},
		{[]string{"token", "revoke", "t1"}, ""},
		{[]string{"add", "--", "echo", "", "x"}, ""},
	} {
		code, stdout, stderr := runSample(tt.args...)
		switch {
		case tt.want == "" && code != 0:
			t.Errorf("%q: exit %d, %s", tt.args, code, stderr)
		case tt.want != "" && (code != 2 || stdout != "" || !strings.HasPrefix(stderr, "sample: "+tt.want+": the value is empty\nhint: ")):
			t.Errorf("%q: exit %d, %q, %q", tt.args, code, stdout, stderr)
		}
	}
	t.Setenv("IWX_ROOT", "") // is as if it were not set
	if code, _, stderr := runSample("list"); code != 0 {
		t.Errorf("IWX_ROOT= : exit %d, %s", code, stderr)
	}
}
