package conf

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

var durationType = reflect.TypeFor[time.Duration]()

// typeName is the type of the key as iwx.toml(5) calls it.
func (k Key) typeName() string {
	switch {
	case k.field.Type() == durationType:
		return "duration"
	case k.field.Kind() == reflect.Int:
		return "integer"
	case k.field.Kind() == reflect.Bool:
		return "boolean"
	}
	return "string"
}

// quoted writes a value of a tag the way the file does.
func (k Key) quoted(text string) string {
	if k.Type == "duration" || k.Type == "string" {
		return strconv.Quote(text)
	}
	return text
}

func (k Key) rangeText() string {
	if enum := k.enum(); enum != nil {
		last := len(enum) - 1
		return strings.Join(enum[:last], ", ") + " or " + enum[last]
	}
	if k.tag.Get("min") == "" {
		return ""
	}
	return k.tag.Get("min") + ".." + k.tag.Get("max")
}

func (k Key) enum() []string {
	if k.tag.Get("enum") == "" {
		return nil
	}
	return strings.Split(k.tag.Get("enum"), ",")
}

// fromTag turns a value written in Go or a tag into what the TOML decoder
// would have made of it.
func (k Key) fromTag(text string) any {
	if unquoted, err := strconv.Unquote(text); err == nil {
		return unquoted
	}
	if b, err := strconv.ParseBool(text); err == nil && k.Type == "boolean" {
		return b
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return text
	}
	return n
}

// read checks a decoded TOML value and converts it to the type of the field;
// what says why it will not do.
func (k Key) read(value any) (v reflect.Value, what string) {
	switch k.Type {
	case "duration":
		return k.readDuration(value)
	case "integer":
		return k.readInt(value)
	case "boolean":
		b, ok := value.(bool)
		if !ok {
			return v, "want true or false, not " + describe(value)
		}
		return reflect.ValueOf(b), ""
	}
	return k.readString(value)
}

func (k Key) readInt(value any) (v reflect.Value, what string) {
	n, ok := value.(int64)
	if !ok {
		return v, "want a whole number, not " + describe(value)
	}
	low, _ := strconv.ParseInt(k.tag.Get("min"), 10, 64)
	high, _ := strconv.ParseInt(k.tag.Get("max"), 10, 64)
	if n < low || n > high {
		return v, fmt.Sprintf("%d is out of range %s", n, k.Range)
	}
	return reflect.ValueOf(int(n)), ""
}

func (k Key) readDuration(value any) (v reflect.Value, what string) {
	text, ok := value.(string)
	if !ok {
		return v, `want a duration in quotes, such as "5m", not ` + describe(value)
	}
	d, err := ParseDuration(text)
	if err != nil {
		return v, err.Error()
	}
	low, _ := ParseDuration(k.tag.Get("min"))
	high, _ := ParseDuration(k.tag.Get("max"))
	if d < low || d > high {
		return v, fmt.Sprintf("%s is out of range %s", text, k.Range)
	}
	return reflect.ValueOf(d), ""
}

func (k Key) readString(value any) (v reflect.Value, what string) {
	text, ok := value.(string)
	if !ok {
		return v, "want text in quotes, not " + describe(value)
	}
	if enum := k.enum(); enum != nil && !slices.Contains(enum, text) {
		return v, fmt.Sprintf("%q is not %s", text, k.Range)
	}
	if what := k.rule()(text); what != "" {
		return v, what
	}
	return reflect.ValueOf(text), ""
}

// rule is what a text is held against, by the tag "rule".
func (k Key) rule() func(string) (what string) {
	switch k.tag.Get("rule") {
	case "share":
		return checkShare
	case "export":
		return checkExport
	case "server":
		return checkServer
	case "uids":
		return checkUIDs
	case "web_server":
		return checkWebServer
	case "provider":
		return checkProvider
	case "nameservers":
		return checkNameservers
	case "hostmaster":
		return checkHostmaster
	case "home":
		return checkHome
	case "prefixes":
		return checkPrefixes
	}
	return func(string) string { return "" }
}

// describe shows a wrong value: itself when it is short, else its kind.
func describe(value any) string {
	switch v := value.(type) {
	case string:
		return strconv.Quote(v)
	case bool, int64, float64:
		return fmt.Sprint(v)
	case time.Time:
		return "a date"
	case map[string]any:
		return "a table"
	}
	return "a list"
}

// ParseDuration reads "90s", "5m", "1h30m", "7d", "1d12h" and "0". It is
// time.ParseDuration with days of 24 hours in front, and nothing negative.
func ParseDuration(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a duration such as 90s, 5m, 12h or 7d", text)
	days, rest, found := strings.Cut(text, "d")
	if !found {
		days, rest = "0", text
	} else if rest == "" {
		rest = "0"
	}
	n, err := strconv.ParseUint(days, 10, 32)
	if err != nil {
		return 0, bad
	}
	d, err := time.ParseDuration(rest)
	const day = 24 * time.Hour
	if err != nil || d < 0 || n > uint64((math.MaxInt64-d)/day) {
		return 0, bad
	}
	return time.Duration(n)*day + d, nil
}
