package cli

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Widths of columns, in characters.
const (
	gap      = 2  // between columns
	least    = 12 // a text cut below this is useless
	readable = 24 // a text is first cut to this, before other columns are left out
	foldRoom = 40 // a text is wrapped in its column if the column has this room
)

// fit is the layout of a table on a terminal that is too narrow for it.
type fit struct {
	keep  []int // the columns in the table, in their order
	room  []int // the maximum width of each column, by its index in the table's columns
	wrap  int   // the kept column whose text is wrapped to its room; -1 for none
	below []int // the columns that have lines of their own below each row
	short int   // the number of columns at the start of below that are not texts
}

// fitColumns lays out columns of the given widths so that the terminal wraps no line.
// Less important columns (Spare) are left out, the last first. Texts (Fold) are wrapped
// or go below their row. Columns with Cut are cut. What is still too wide goes below as
// well. Width 0 means no terminal: all columns stay.
func fitColumns[T any](columns []Column[T], widths []int, width int) fit {
	f := fit{wrap: -1, room: slices.Clone(widths)}
	for i := range columns {
		f.keep = append(f.keep, i)
	}
	if width == 0 || f.total() <= width {
		return f
	}
	for i := range columns {
		if columns[i].Cut {
			f.room[i] = min(widths[i], max(readable, utf8.RuneCountInString(columns[i].head())))
		}
	}
	spare := func(i int) bool { return columns[i].Spare }
	text := func(i int) bool { return columns[i].Fold }
	// If leaving out Spare columns is not enough, fold the texts before that.
	all := f.keep
	if f.drop(spare, width); f.total() > width {
		f.keep = all
		f.foldTexts(text, width)
		f.drop(spare, width)
	}
	// Cut columns to their least width before anything else goes below.
	for _, i := range f.keep {
		if columns[i].Cut && f.total() > width {
			f.room[i] = min(f.room[i], max(least, f.room[i]-(f.total()-width)))
		}
	}
	f.foldLast(width)
	// Give the remaining width back to columns that were cut more than needed.
	for _, i := range f.keep {
		f.room[i] += max(0, min(widths[i]-f.room[i], width-f.total()))
	}
	return f
}

// total returns the width of the kept columns.
func (f *fit) total() int {
	total := gap * (len(f.keep) - 1)
	for _, i := range f.keep {
		total += f.room[i]
	}
	return total
}

// drop leaves out the spare columns, the last first, until the rest fits.
func (f *fit) drop(spare func(int) bool, width int) {
	for at := len(f.keep) - 1; at > 0 && f.total() > width; at-- {
		if spare(f.keep[at]) {
			f.keep = slices.Delete(slices.Clone(f.keep), at, at+1)
		}
	}
}

// foldTexts moves the texts below the rows. The first of them stays in the table,
// wrapped, if the other columns leave enough room.
func (f *fit) foldTexts(text func(int) bool, width int) {
	f.below = nil
	rest := slices.DeleteFunc(slices.Clone(f.keep), text)
	for _, i := range f.keep {
		if text(i) {
			f.below = append(f.below, i)
		}
	}
	f.keep = rest
	if len(f.below) == 0 || len(rest) == 0 {
		return
	}
	if room := width - f.total() - gap; room >= foldRoom {
		f.wrap, f.below = f.below[0], f.below[1:]
		f.room[f.wrap] = min(f.room[f.wrap], room)
		f.keep = append(rest, f.wrap)
	}
}

// foldLast moves the last column below the rows until the rest fits, but never the first.
func (f *fit) foldLast(width int) {
	for len(f.keep) > 1 && f.total() > width {
		last := len(f.keep) - 1
		f.below = append([]int{f.keep[last]}, f.below...)
		f.keep, f.short = f.keep[:last], f.short+1
	}
}

// rows returns the table's lines for a row of cells.
func (f *fit) rows(cells []string) [][]string {
	texts := []string{""}
	if f.wrap >= 0 {
		texts = wrapped(cells[f.wrap], f.room[f.wrap])
	}
	lines := make([][]string, len(texts))
	for n, text := range texts {
		for _, i := range f.keep {
			switch {
			case i == f.wrap:
				lines[n] = append(lines[n], text)
			case n > 0:
				lines[n] = append(lines[n], "")
			default:
				lines[n] = append(lines[n], cut(cells[i], f.room[i]))
			}
		}
	}
	return lines
}

// beneath returns the lines below a row, for the columns that are not in the table: one
// line for all short ones, and one for each text.
func (f *fit) beneath(labels, cells []string, width int) (lines []string) {
	const indent = "    "
	var short, texts []string
	for n, i := range f.below {
		switch {
		case cells[i] == "-":
		case n < f.short:
			short = append(short, labels[i]+": "+cells[i])
		default:
			texts = append(texts, labels[i]+": "+cells[i])
		}
	}
	if short != nil {
		texts = append([]string{strings.Join(short, ", ")}, texts...)
	}
	for _, text := range texts {
		for n, line := range wrapped(text, width-len(indent)-gap) {
			lines = append(lines, indent+strings.Repeat(" ", gap*min(n, 1))+line)
		}
	}
	return lines
}

// wrapped breaks text at spaces into lines of at most width characters. A longer word
// gets a line of its own.
func wrapped(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}
