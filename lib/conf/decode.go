package conf

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// decode sets c from data and returns all that is wrong with it.
func decode(c *Config, file string, data []byte) Faults {
	tree := map[string]any{}
	if err := toml.Unmarshal(data, &tree); err != nil {
		return Faults{syntaxFault(file, err)}
	}
	makeRoom(c, tree)
	known := map[string]Key{}
	for _, k := range keys(c) {
		known[k.Name] = k
	}
	lines := keyLines(string(data))
	var faults Faults
	report := func(name, what string) {
		faults = append(faults, Fault{File: file, Line: lineOf(lines, name), Key: plain(name), What: what})
	}
	for name, value := range leaves(tree, "", known) {
		if k, ok := known[name]; !ok {
			report(name, strange(name, value, known))
		} else if v, what := k.read(value); what != "" {
			report(name, what)
		} else {
			k.field.Set(v)
		}
	}
	if len(faults) == 0 {
		c.Storage.check(report)
	}
	slices.SortFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key))
	})
	return faults
}

// makeRoom gives c as many tables in its lists as the file has, with defaults in
// them. A file without any keeps the one that is there by default.
func makeRoom(c *Config, tree map[string]any) {
	storage, _ := tree["storage"].(map[string]any)
	if n := len(tables(storage["share"])); n > 0 {
		c.Storage.Shares = make([]Share, n)
		setDefaults(c)
	}
}

// tables returns a value that is a list of tables as one, nil for all others.
func tables(value any) []map[string]any {
	if list, ok := value.([]map[string]any); ok {
		return list
	}
	list, _ := value.([]any)
	out := make([]map[string]any, len(list))
	for i := range list {
		var ok bool
		if out[i], ok = list[i].(map[string]any); !ok {
			return nil
		}
	}
	return out
}

func syntaxFault(file string, err error) Fault {
	f := Fault{File: file, What: err.Error()}
	var parse toml.ParseError
	if errors.As(err, &parse) {
		f.Line, f.What = parse.Position.Line, parse.Message
		if parse.Message == "" { // errors that carry an explanation leave it empty
			_, f.What, _ = strings.Cut(parse.Error(), ": ")
		}
		f.What = strings.TrimSuffix(strings.TrimPrefix(f.What, "Key "), ".")
	}
	return f
}

// leaves flattens tree to dotted names. A table of which nothing is known is
// one leaf, so that it is reported once and not for each of its keys.
func leaves(tree map[string]any, prefix string, known map[string]Key) map[string]any {
	out := map[string]any{}
	for name, value := range tree {
		name = prefix + name
		table, isTable := value.(map[string]any)
		list := tables(value)
		switch {
		case isTable && isPrefix(name+".", known):
			maps.Copy(out, leaves(table, name+".", known))
		case len(list) > 0 && isPrefix(name+"[", known):
			for i, table := range list {
				maps.Copy(out, leaves(table, fmt.Sprintf("%s[%d].", name, i), known))
			}
		default:
			out[name] = value
		}
	}
	return out
}

func isPrefix(prefix string, known map[string]Key) bool {
	for name := range known {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// strange says what is wrong about a name that is no key.
func strange(name string, value any, known map[string]Key) string {
	_, isTable := value.(map[string]any)
	switch {
	case isPrefix(name+".", known):
		return fmt.Sprintf("is a table, write [%s]", name)
	case isPrefix(name+"[", known):
		return fmt.Sprintf("is a list of tables, write [[%s]] for each", name)
	case isTable:
		return unknownTable(name, known)
	}
	return unknown(name, known)
}

// unknown says that name is no key, with the nearest one that is.
func unknown(name string, known map[string]Key) string {
	name = plain(name)
	best, bestDistance := "", len(name)/3+1
	for _, candidate := range slices.Sorted(maps.Keys(known)) {
		candidate = plain(candidate)
		d := distance(name, candidate)
		// A key in the wrong table, or in none, is as near as its last word.
		last := candidate[strings.LastIndexByte(candidate, '.')+1:]
		d = min(d, distance(name[strings.LastIndexByte(name, '.')+1:], last))
		if d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	if best == "" {
		return "unknown key"
	}
	return "unknown key, did you mean " + best + "?"
}

// unknownTable says that there is no table called name, with the nearest one.
func unknownTable(name string, known map[string]Key) string {
	best, bestDistance := "", len(name)/3+1
	for _, candidate := range slices.Sorted(maps.Keys(known)) {
		table, _, _ := strings.Cut(candidate, ".")
		if d := distance(name, table); d < bestDistance {
			best, bestDistance = table, d
		}
	}
	if best == "" {
		return "unknown table"
	}
	return "unknown table, did you mean [" + best + "]?"
}

// distance is the Levenshtein distance of a and b in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// keyLines finds the lines on which tables and keys of a valid file stand; the
// decoder does not tell. It reads line by line, so that a line inside a
// multi-line string can pass for a key: the first line of a name counts, and
// the worst of it is a wrong number in a message.
func keyLines(text string) map[string]int {
	lines, count := map[string]int{}, map[string]int{}
	table := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		name := ""
		if strings.HasPrefix(line, "[") {
			head, _, _ := strings.Cut(strings.TrimLeft(line, "["), "]")
			name = normal(head)
			if strings.HasPrefix(line, "[[") {
				if count[name]++; count[name] == 1 {
					lines[name] = i + 1
				}
				name = fmt.Sprintf("%s[%d]", name, count[name]-1)
			}
			table = name + "."
		} else if key, _, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			name = table + normal(key)
		}
		if _, seen := lines[name]; name != "" && !seen {
			lines[name] = i + 1
		}
	}
	return lines
}

// normal writes a dotted key without quotes and spaces.
func normal(key string) string {
	parts := strings.Split(key, ".")
	for i, part := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(part), `"'`)
	}
	return strings.Join(parts, ".")
}

// lineOf is the line of the key, or that of the table it is written in.
func lineOf(lines map[string]int, name string) int {
	for {
		if n, ok := lines[name]; ok {
			return n
		}
		cut := strings.LastIndexAny(name, ".[")
		if cut < 0 {
			return 0
		}
		name = name[:cut]
	}
}
