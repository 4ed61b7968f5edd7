package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestChain(t *testing.T) {
	base := New(Busy, "open %s: %w", "state.db", fs.ErrPermission)
	for _, c := range []struct {
		name string
		err  error
		text string
		code Code
		hint string
	}{
		{"nil", nil, "", OK, ""},
		{"ordinary", errors.New("plain"), "plain", Failed, ""},
		{"with a code", base, "open state.db: permission denied", Busy, ""},
		{"hint around it", Hint(base, "run as %s", "root"), "open state.db: permission denied", Busy, "run as root"},
		{"wrapped by others", fmt.Errorf("add: %w", Hint(base, "try")), "add: open state.db: permission denied", Busy, "try"},
		{"the outer hint", Hint(fmt.Errorf("add: %w", Hint(base, "inner")), "outer"), "add: open state.db: permission denied", Busy, "outer"},
		{"the outer code", WithCode(base, Usage), "open state.db: permission denied", Usage, ""},
	} {
		if c.err != nil && c.err.Error() != c.text {
			t.Errorf("%s: text %q, want %q", c.name, c.err, c.text)
		}
		if CodeOf(c.err) != c.code || HintOf(c.err) != c.hint {
			t.Errorf("%s: code %d, hint %q; want %d, %q", c.name, CodeOf(c.err), HintOf(c.err), c.code, c.hint)
		}
	}
	if Hint(nil, "x") != nil || WithCode(nil, Usage) != nil {
		t.Error("nil did not stay nil")
	}
	if !errors.Is(WithCode(base, Usage), fs.ErrPermission) {
		t.Error("the cause is lost")
	}
}
