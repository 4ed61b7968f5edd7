package cli

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"iwx/lib/fault"
)

// refuseEmpty fails if a flag or an argument on the command line is empty, as in
// --user "$USER_OF_SITE" when a script has not set that variable. Nearly always an
// empty value would mean the default, which the caller did not ask for: root, all
// nodes, no check. The tag empty:"" is for values that may be empty; the words of an
// Argv may be too.
func refuseEmpty(t Tool, parsed *kong.Context) error {
	for _, path := range parsed.Path {
		value, name := path.Positional, ""
		switch {
		case path.Flag != nil:
			value, name = path.Flag.Value, "--"+path.Flag.Name
		case value != nil:
			name = strings.ToUpper(value.Name)
		default:
			continue
		}
		if value.Passthrough || value.Tag.Has("empty") || !isEmpty(value.Target) {
			continue
		}
		return fault.Hint(usageError(t, parsed.Selected(), fmt.Errorf("%s: the value is empty", name)), "is a variable empty that was to hold it?")
	}
	return nil
}

// isEmpty reports an empty text, a list of none, and a list that has one.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		return v.Len() == 0
	case reflect.Slice:
		for i := range v.Len() {
			if isEmpty(v.Index(i)) {
				return true
			}
		}
		return v.Len() == 0
	}
	return false
}
