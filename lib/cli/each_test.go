package cli

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unsafe"
	"weak"
)

// large is a row with a lot of text that no person's table prints.
type large struct{ text string }

func largeTable() Table[large] {
	return Table[large]{Singular: "row", Plural: "rows", Columns: []Column[large]{
		{Name: "word", Value: func(l large) any { return Mark{Text: l.text[:4], Level: Good} }},
		{Name: "line", Value: func(l large) any { return Text(l.text) }},
		{Name: "rest", Value: func(l large) any { return Text(l.text) }, Detail: true},
	}}
}

// TestWriteEach: rows are printed as they come, and none is kept.
func TestWriteEach(t *testing.T) {
	const rows, size = 200, 4 << 10
	for name, o := range map[string]Output{
		"a person": {}, "exact": {Exact: true}, "columns": {Columns: []string{"line", "rest"}},
		"-H": {NoHeader: true}, "-H, all columns": {NoHeader: true, Columns: []string{"word", "line", "rest"}}, "JSON": {JSON: true},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			var first weak.Pointer[byte]
			err := largeTable().WriteEach(sampleContext(&out), o, func(print func(large) error) error {
				for i := range rows {
					b := []byte(fmt.Sprintf("%04d\n", i) + strings.Repeat("x", size))
					if i == 0 {
						first = weak.Make(&b[0])
					}
					if err := print(large{unsafe.String(&b[0], len(b))}); err != nil {
						return err
					}
				}
				runtime.GC()
				if first.Value() != nil {
					t.Error("the first row is in memory yet")
				}
				if !o.Human() && !strings.Contains(out.String(), "0100") {
					t.Error("nothing is printed before the last row")
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for i := range rows {
				if !strings.Contains(out.String(), fmt.Sprintf("%04d", i)) {
					t.Fatalf("row %d is missing", i)
				}
			}
		})
	}
}

// TestWriteEachFails: an error of the rows, or of standard output, ends it.
func TestWriteEachFails(t *testing.T) {
	broken, away := errors.New("cannot be read"), errors.New("away")
	for name, o := range map[string]Output{"a person": {}, "-H": {NoHeader: true}, "JSON": {JSON: true}} {
		err := nodeTable().WriteEach(sampleContext(&bytes.Buffer{}), o, func(print func(node) error) error {
			return errors.Join(print(sampleNodes()[0]), broken)
		})
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v, want %v", name, err, broken)
		}
		printed := 0
		err = nodeTable().WriteEach(sampleContext(brokenWriter{away}), o, func(print func(node) error) error {
			for range 10_000 {
				printed++
				if err := print(sampleNodes()[0]); err != nil {
					return err
				}
			}
			return nil
		})
		if !errors.Is(err, away) || !o.Human() && printed == 10_000 {
			t.Errorf("%s: %v after %d rows", name, err, printed)
		}
	}
}
