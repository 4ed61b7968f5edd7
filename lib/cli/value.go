package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The values of a column, besides strings, numbers, bools, lists of strings,
// nil, and:
//
//   - time.Time: its age ("3m", "in 3m" when it is to come); exact, RFC 3339
//   - time.Duration: "3m12s"; exact, seconds
//
// nil, "" and the zero time are shown as "-".
type (
	// ID is a number that identifies: never shortened, a string in JSON, where
	// numbers above 2^53 get lost.
	ID uint64
	// Bytes is a size: "1.5K"; exact, the number.
	Bytes int64
	// Date is a time that people see as a date on their own clock, not as an
	// age; otherwise as time.Time.
	Date time.Time
	// Text is text of several lines. A record shows it whole, indented; a
	// table its first line.
	Text string
	// Block is Text for people and with -H; in JSON it is Value, whatever that
	// is.
	Block struct {
		Text  Text
		Value any
	}
	// Fraction is a progress: "3/12"; in JSON an object with the numbers done
	// and total.
	Fraction struct {
		Done  uint64 `json:"done"`
		Total uint64 `json:"total"`
	}
	// Mark is a word that is coloured on a terminal.
	Mark struct {
		Text  string
		Level Level
	}
)

// rfc3339 has fixed milliseconds, so that times sort as text.
const rfc3339 = "2006-01-02T15:04:05.000Z07:00"

// plain is v as people read it, and with -H.
func plain(v any, now time.Time) string {
	switch v := v.(type) {
	case time.Time:
		return relative(v, now)
	case Date:
		if time.Time(v).IsZero() {
			return ""
		}
		return time.Time(v).Local().Format(time.DateTime)
	case time.Duration:
		return Duration(v)
	case Bytes:
		return Size(int64(v))
	}
	return exact(v)
}

// exact is v with -p.
func exact(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format(rfc3339)
	case Date:
		return exact(time.Time(v))
	case time.Duration:
		return strconv.FormatFloat(v.Seconds(), 'f', -1, 64)
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case []string:
		return strings.Join(v, ",")
	case Mark:
		return v.Text
	case Fraction:
		return fmt.Sprintf("%d/%d", v.Done, v.Total)
	case Block:
		return string(v.Text)
	}
	return fmt.Sprint(v)
}

// blockOf returns the text of a value that is text of several lines.
func blockOf(v any) (text Text, is bool) {
	switch v := v.(type) {
	case Text:
		return v, true
	case Block:
		return v.Text, true
	}
	return "", false
}

// emptyText matches an empty text in a JSON object. Within a string each quote
// follows a backslash, so that nothing else matches.
var emptyText = regexp.MustCompile(`":""([,}])`)

// nulls replaces every empty text in a JSON object by null: missing values are
// null, whatever their type.
func nulls(text []byte) []byte { return emptyText.ReplaceAll(text, []byte(`":null$1`)) }

// encode is v in JSON.
func encode(v any) ([]byte, error) {
	switch w := v.(type) {
	case time.Time, Date:
		v = exact(w)
		if v == "" {
			v = nil
		}
	case time.Duration:
		v = w.Seconds()
	case ID, Mark:
		v = exact(w)
	case Block:
		v = w.Value
	case []string:
		if w == nil {
			v = []string{}
		}
	case fmt.Stringer:
		if _, own := v.(json.Marshaler); !own && reflect.TypeOf(v).Kind() != reflect.String {
			v = w.String()
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // commands are full of > and &
	err := e.Encode(v)
	text := bytes.TrimRight(b.Bytes(), "\n")
	if string(text) == `""` {
		text = []byte("null")
	}
	return nulls(text), err
}

func relative(t, now time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return ""
	case d < 0:
		return "in " + Age(-d)
	default:
		return Age(d)
	}
}

// Age is a span of time in its largest unit: "45s", "3m", "5h", "12d".
func Age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

// Duration is a span of time in its two largest units: "3m12s", "2d5h"; below
// ten seconds with a fraction: "2.3s", "350ms".
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Duration(-d)
	case d == 0:
		return "0s"
	case d < time.Second:
		return fmt.Sprintf("%dms", d/time.Millisecond)
	case d < 10*time.Second:
		return fmt.Sprintf("%d.%ds", d/time.Second, d%time.Second/(100*time.Millisecond))
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return pair(d, time.Minute, "m", time.Second, "s")
	case d < 24*time.Hour:
		return pair(d, time.Hour, "h", time.Minute, "m")
	}
	return pair(d, 24*time.Hour, "d", time.Hour, "h")
}

func pair(d, large time.Duration, largeName string, small time.Duration, smallName string) string {
	text := fmt.Sprintf("%d%s", d/large, largeName)
	if rest := d % large / small; rest > 0 {
		text += fmt.Sprintf("%d%s", rest, smallName)
	}
	return text
}

// Size is a number of bytes in units of 1024: "17", "1.5K", "64M".
func Size(n int64) string {
	if n > -1024 && n < 1024 {
		return strconv.FormatInt(n, 10)
	}
	f := float64(n)
	unit := 0
	for ; (f >= 1024 || f <= -1024) && unit < 6; unit++ {
		f /= 1024
	}
	text := fmt.Sprintf("%.1f", f)
	return strings.TrimSuffix(text, ".0") + string("KMGTPE"[unit-1])
}

// escape makes text safe for a line of columns: a tab or newline in it would
// pass for the next column or row, and a control character of a node's making
// would act on the administrator's terminal. Backslashes are doubled for
// scripts, which can then undo it.
func escape(text string, script bool) string {
	var b strings.Builder
	for i, size := 0, 0; i < len(text); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\\' && script:
			b.WriteString(`\\`)
		case r == utf8.RuneError && size == 1, r < 0x80 && unicode.IsControl(r):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case !unicode.IsGraphic(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(text[i : i+size])
		}
	}
	return b.String()
}

// printable is escape for a line of a message.
func printable(line string) string { return escape(line, false) }

// cut shortens text to width columns, the last being an ellipsis.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	runes := []rune(text)
	return string(runes[:max(width-1, 0)]) + "…"
}
