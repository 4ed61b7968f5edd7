package cli

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Show prints one thing, for verbs such as show and status: for people the
// verdict, if there is one, and a line for each column that has a value; for
// scripts one row, as Write does; in JSON an object under Singular.
func (t Table[T]) Show(c *Context, o Output, verdict string, row T) error {
	columns, err := t.choose(o, true)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	switch {
	case o.JSON:
		fmt.Fprintf(&b, `{"version":1,%q:`, t.Singular)
		err = writeObject(&b, columns, row)
		b.WriteString("}\n")
	case o.NoHeader:
		b.WriteString(tabbed(c, o, columns, row))
	default:
		if verdict != "" {
			b.WriteString(verdict + "\n")
		}
		writeRecord(&b, c, o, columns, row)
	}
	if err == nil {
		_, err = c.Stdout.Write(b.Bytes())
	}
	return err
}

// writeRecord writes "name  value" lines, and blocks of text last.
func writeRecord[T any](b *bytes.Buffer, c *Context, o Output, columns []Column[T], row T) {
	width := 0
	for _, col := range columns {
		width = max(width, len(col.label()))
	}
	var blocks strings.Builder
	for _, col := range columns {
		value := col.Value(row)
		if text, block := blockOf(value); block {
			writeBlock(&blocks, col.label(), string(text))
			continue
		}
		text := cell(c, o, col, row)
		if text == "-" && o.Columns == nil {
			continue
		}
		if mark, ok := value.(Mark); ok {
			text = c.Paint(mark.Level, text)
		}
		fmt.Fprintf(b, "%-*s  %s\n", width, col.label(), text)
	}
	b.WriteString(blocks.String())
}

func writeBlock(b *strings.Builder, label, text string) {
	if text == "" {
		return
	}
	b.WriteString(label + "\n")
	for line := range strings.Lines(text) {
		b.WriteString("    " + printable(strings.TrimRight(line, "\r\n")) + "\n")
	}
}

// label is the name of the column in a record: its head in lower case, as
// records have their names in front and need no capitals.
func (col Column[T]) label() string {
	if col.Head != "" {
		return strings.ToLower(col.Head)
	}
	return strings.ReplaceAll(col.Name, "_", " ")
}

// Feed returns a function that prints rows one at a time as they come, for
// verbs that follow something. Scripts get the lines of Write; JSON is one
// object per line, as Show prints it. For people columns widen as needed.
func (t Table[T]) Feed(c *Context, o Output) (func(T) error, error) {
	columns, err := t.choose(o, false)
	if err != nil {
		return nil, err
	}
	if o.JSON || o.NoHeader {
		return func(row T) error { return t.Show(c, o, "", row) }, nil
	}
	var heads []string
	for _, col := range columns {
		heads = append(heads, col.head())
	}
	widths := make([]int, len(columns))
	first := true
	return func(row T) error {
		cells := make([]string, len(columns))
		for i, col := range columns {
			cells[i] = cell(c, o, col, row)
		}
		for i, width := range widest(heads, [][]string{cells}) {
			widths[i] = max(widths[i], width)
		}
		width := c.Width()
		if o.Columns != nil || o.Exact {
			width = 0
		}
		f := fitColumns(columns, widths, width)
		lines := f.rows(cells)
		if first {
			lines = append([][]string{pick(heads, f.keep)}, lines...)
			first = false
		}
		var b strings.Builder
		for _, line := range lines {
			for at, i := range f.keep {
				line[at] += strings.Repeat(" ", max(0, f.room[i]-utf8.RuneCountInString(line[at])))
			}
			b.WriteString(strings.TrimRight(strings.Join(line, "  "), " ") + "\n")
		}
		for _, line := range f.beneath(labels(columns), cells, width) {
			b.WriteString(line + "\n")
		}
		return c.Printf("%s", b.String())
	}, nil
}
