package conf

import (
	"fmt"
	"strings"
)

// DefaultFile returns the settings file as setup writes it: every key with its
// description and its default, commented out, so that a default improved by a
// later version reaches servers that did not change it.
func DefaultFile() []byte {
	var b strings.Builder
	b.WriteString("# Settings of iwx, see iwx.toml(5). Every key is shown with its default.\n")
	b.WriteString("# Changes take effect with: systemctl reload iwx-queued\n")
	table := ""
	for _, k := range Keys() {
		if in := k.table(); in != table {
			table = in
			fmt.Fprintf(&b, "\n%s%s\n", comment(k.tableDoc), table)
		}
		name := k.Name[strings.LastIndexByte(k.Name, '.')+1:]
		fmt.Fprintf(&b, "\n%s# %s = %s\n", comment(k.sentence()), name, k.Default)
	}
	return []byte(b.String())
}

// sentence is the description with the range.
func (k Key) sentence() string {
	if k.Range == "" {
		return k.Doc
	}
	return k.Doc + " (" + k.Range + ")"
}

// comment breaks text into comment lines of at most 78 columns.
func comment(text string) string {
	var b strings.Builder
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > 78 {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}
