package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"iwx/lib/fault"
)

// Output is embedded by verbs that print a table or a record.
type Output struct {
	NoHeader bool     `short:"H" help:"For scripts: no header, columns separated by one tab."`
	Columns  []string `short:"o" placeholder:"COLUMN,..." help:"Print only these columns, in this order."`
	Exact    bool     `short:"p" help:"Print exact numbers and RFC 3339 times."`
	JSON     bool     `name:"json" help:"Print JSON."`
}

// Human reports whether a person is to read the output: the verdict and other
// prose belong only there.
func (o Output) Human() bool { return !o.NoHeader && !o.JSON }

// Whole reports whether a list must show all rows by default: a script, or a
// user who wants exact numbers, would not notice missing ones.
func (o Output) Whole() bool { return o.NoHeader || o.Exact || o.JSON }

// LeftOut prints, as the last line, how many rows a list does not show, and the
// command that shows all. It prints nothing if n is 0.
func (o Output) LeftOut(c *Context, n int, all string) {
	if n > 0 && o.Human() {
		c.Notef("%d more: %s", n, all)
	}
}

// Column is one column of a table whose rows are T.
type Column[T any] struct {
	Name   string      // for -o, and the field's name in JSON: "last_seen"
	Head   string      // above the column; "" takes the name, in capitals
	Value  func(T) any // see the types of this package for what is shown how
	Detail bool        // in a table only where -o asks; always in records and JSON
	Cut    bool        // shortened where the terminal is too narrow
	Fold   bool        // a text to show in full: wrapped, or on lines below its row, if the terminal is too narrow
	Spare  bool        // left out if the terminal is too narrow
	Rare   bool        // left out of a person's table in which no row has it, unless -o asks
}

// Table says what there is to know about a kind of thing, once, for people, for
// -H, for -o and for JSON.
//
// JSON is one object: "version", which is 1 and rises when a field changes its
// meaning or goes, and the rows under Plural or the record under Singular.
type Table[T any] struct {
	Singular, Plural string // "node", "nodes"
	Columns          []Column[T]
}

// Write prints rows. Without rows it prints an empty list in JSON, nothing with
// -H, and otherwise a message on standard error.
func (t Table[T]) Write(c *Context, o Output, rows []T) error {
	return t.WriteEach(c, o, func(print func(T) error) error {
		for _, row := range rows {
			if err := print(row); err != nil {
				return err
			}
		}
		return nil
	})
}

// WriteEach is Write for rows that each passes to print one after the other; each ends
// with the first error of print. No row is kept: for scripts it is printed at once, and
// of a person's table the text of the cells is kept.
func (t Table[T]) WriteEach(c *Context, o Output, each func(print func(T) error) error) error {
	columns, err := t.choose(o, false)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(c.Stdout, 64<<10)
	switch {
	case o.JSON:
		err = t.writeJSON(out, columns, each)
	case o.NoHeader:
		err = each(func(row T) error {
			_, err := out.WriteString(tabbed(c, o, columns, row))
			return err
		})
	default:
		var lines []line
		err = each(func(row T) error {
			lines = append(lines, newLine(c, o, columns, row))
			return nil
		})
		if err == nil && len(lines) == 0 {
			c.Notef("no %s", t.Plural)
			return nil
		}
		if err == nil {
			err = writeTable(out, c, o, columns, lines)
		}
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// line is a row of a person's table.
type line struct {
	cells  []string
	levels []Level
}

func newLine[T any](c *Context, o Output, columns []Column[T], row T) line {
	l := line{cells: make([]string, len(columns)), levels: make([]Level, len(columns))}
	for i, col := range columns {
		v := col.Value(row)
		l.cells[i] = text(c, o, v)
		if mark, ok := v.(Mark); ok {
			l.levels[i] = mark.Level
		}
	}
	return l
}

// present drops the columns that are rare and empty here.
func present[T any](o Output, columns []Column[T], lines []line) ([]Column[T], []line) {
	if o.Columns != nil {
		return columns, lines
	}
	var keep []int
	for i, col := range columns {
		has := func(l line) bool { return l.cells[i] != "-" }
		if !col.Rare || slices.ContainsFunc(lines, has) {
			keep = append(keep, i)
		}
	}
	for j, l := range lines {
		lines[j] = line{pick(l.cells, keep), pick(l.levels, keep)}
	}
	return pick(columns, keep), lines
}

// choose returns the columns that o asks for; record says that all are shown
// when it asks for none.
func (t Table[T]) choose(o Output, record bool) ([]Column[T], error) {
	var chosen []Column[T]
	for _, name := range o.Columns {
		i := slices.IndexFunc(t.Columns, func(col Column[T]) bool { return col.Name == name })
		if i < 0 {
			return nil, fault.Hint(fault.New(fault.Usage, "unknown column %q", name), "columns: %s", strings.Join(t.names(), ","))
		}
		chosen = append(chosen, t.Columns[i])
	}
	if chosen != nil {
		return chosen, nil
	}
	for _, col := range t.Columns {
		if record || o.JSON || !col.Detail {
			chosen = append(chosen, col)
		}
	}
	return chosen, nil
}

func (t Table[T]) names() []string {
	var names []string
	for _, col := range t.Columns {
		names = append(names, col.Name)
	}
	return names
}

// cell is one value as text. In a person's table "-" stands for nothing, so
// that columns stay apart; scripts get it too, since read(1) of the shell joins
// neighbouring tabs.
func cell[T any](c *Context, o Output, col Column[T], row T) string {
	return text(c, o, col.Value(row))
}

// text is cell of a value. It never shares memory with a longer text.
func text(c *Context, o Output, v any) string {
	text := plain(v, c.Now())
	if o.Exact {
		text = exact(v)
	}
	if _, block := blockOf(v); block && !o.NoHeader {
		text, _, _ = strings.Cut(text, "\n")
	}
	if text == "" {
		return "-"
	}
	return escape(text, o.NoHeader)
}

func tabbed[T any](c *Context, o Output, columns []Column[T], row T) string {
	cells := make([]string, len(columns))
	for i, col := range columns {
		cells[i] = cell(c, o, col, row)
	}
	return strings.Join(cells, "\t") + "\n"
}

func (t Table[T]) writeJSON(out *bufio.Writer, columns []Column[T], each func(print func(T) error) error) error {
	fmt.Fprintf(out, `{"version":1,%q:[`, t.Plural) // Flush returns its error
	var b bytes.Buffer
	separator := "\n"
	err := each(func(row T) error {
		b.Reset()
		b.WriteString(separator)
		separator = ",\n"
		if err := writeObject(&b, columns, row); err != nil {
			return err
		}
		_, err := out.Write(b.Bytes())
		return err
	})
	out.WriteString("\n]}\n")
	return err
}

// writeObject writes the fields in the order of the columns.
func writeObject[T any](b *bytes.Buffer, columns []Column[T], row T) error {
	b.WriteByte('{')
	for i, col := range columns {
		value, err := encode(col.Value(row))
		if err != nil {
			return fmt.Errorf("column %s: %w", col.Name, err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, "%q:%s", col.Name, value)
	}
	b.WriteByte('}')
	return nil
}

func (col Column[T]) head() string {
	if col.Head != "" {
		return col.Head
	}
	return strings.ToUpper(strings.ReplaceAll(col.Name, "_", " "))
}

// writeTable draws the table for people: no lines, two spaces between columns.
func writeTable[T any](out io.Writer, c *Context, o Output, columns []Column[T], rows []line) error {
	columns, rows = present(o, columns, rows)
	heads := make([]string, len(columns))
	for i, col := range columns {
		heads[i] = col.head()
	}
	cells := make([][]string, len(rows))
	for j := range rows {
		cells[j] = rows[j].cells
	}
	width := c.Width()
	if o.Columns != nil || o.Exact {
		width = 0 // the user chose the columns
	}
	f := fitColumns(columns, widest(heads, cells), width)
	var lines [][]string
	after := map[int][]string{} // text after a line of the table that is not part of it
	for j, row := range rows {
		first := len(lines)
		lines = append(lines, f.rows(cells[j])...)
		for at, i := range f.keep {
			lines[first][at] = c.Paint(row.levels[i], lines[first][at])
		}
		after[len(lines)] = f.beneath(labels(columns), cells[j], width)
	}
	var b bytes.Buffer
	if err := draw(&b, pick(heads, f.keep), lines, after); err != nil {
		return err
	}
	_, err := b.WriteTo(out)
	return err
}

// widest returns the width of each column.
func widest(heads []string, rows [][]string) []int {
	widths := make([]int, len(heads))
	for _, row := range append([][]string{heads}, rows...) {
		for i, text := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	return widths
}

func pick[E any](list []E, which []int) (chosen []E) {
	for _, i := range which {
		chosen = append(chosen, list[i])
	}
	return chosen
}

func labels[T any](columns []Column[T]) (list []string) {
	for _, col := range columns {
		list = append(list, col.label())
	}
	return list
}

// draw lays out the cells with tablewriter and trims the spaces it leaves at
// the ends of lines. after are lines that are not part of the table, by how many of
// its rows are before them.
func draw(b *bytes.Buffer, heads []string, cells [][]string, after map[int][]string) error {
	var drawn bytes.Buffer
	table := tablewriter.NewTable(&drawn,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders: tw.BorderNone,
			Settings: tw.Settings{
				Lines:      tw.LinesNone,
				Separators: tw.SeparatorsNone,
			},
		})),
		tablewriter.WithConfig(tablewriter.Config{
			Header: tw.CellConfig{
				Formatting: tw.CellFormatting{AutoFormat: tw.Off, AutoWrap: tw.WrapNone},
				Alignment:  tw.CellAlignment{Global: tw.AlignLeft},
				Padding:    tw.CellPadding{Global: tw.Padding{Right: "  ", Overwrite: true}},
			},
			Row: tw.CellConfig{
				Formatting: tw.CellFormatting{AutoWrap: tw.WrapNone},
				Alignment:  tw.CellAlignment{Global: tw.AlignLeft},
				Padding:    tw.CellPadding{Global: tw.Padding{Right: "  ", Overwrite: true}},
			},
			Behavior: tw.Behavior{TrimSpace: tw.Off},
		}),
	)
	table.Header(heads)
	if err := table.Bulk(cells); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	if err := table.Render(); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	n := 0
	for line := range strings.Lines(drawn.String()) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
		for _, more := range after[n] {
			b.WriteString(more + "\n")
		}
		n++
	}
	return nil
}
