package cli

import (
	"fmt"
	"reflect"
	"time"

	"github.com/alecthomas/kong"

	"iwx/lib/conf"
)

// Yes is embedded by verbs that ask before they act.
type Yes struct {
	Yes bool `short:"y" help:"Do not ask."`
}

// Argv is the positional argument of verbs that take a command:
//
//	Command cli.Argv `arg:"" passthrough:"partial" complete:"command" help:"..."`
//
// With or without "--" in front, everything from the first word on belongs to
// the command, its flags included, and the bytes are kept as they are.
type Argv []string

// AfterApply drops the "--" that kong leaves in front.
func (a *Argv) AfterApply() error {
	if len(*a) > 0 && (*a)[0] == "--" {
		*a = (*a)[1:]
	}
	if len(*a) == 0 {
		return fmt.Errorf("a command is missing")
	}
	return nil
}

var durationType = reflect.TypeFor[time.Duration]()

// decodeDuration reads flags of type time.Duration, with days as in iwx.toml.
func decodeDuration(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("duration", &text); err != nil {
		return err
	}
	d, err := conf.ParseDuration(text)
	if err != nil {
		return err
	}
	target.SetInt(int64(d))
	return nil
}

// decodeString keeps a string's bytes. The mapper of kong passes them through
// JSON, which replaces what is not UTF-8; file names and arguments may be that.
// (A list flag is still split by runes: give it sep:"none" where bytes matter.)
func decodeString(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("string")
	if err != nil {
		return err
	}
	target.SetString(token.String())
	return nil
}
