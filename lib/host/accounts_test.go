package host

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestReadEntries: only lines with an entry count, and missing fields and numbers
// out of range are not ids.
func TestReadEntries(t *testing.T) {
	long := strings.Repeat("member,", 20000) // longer than a bufio.Scanner takes
	tests := []struct{ line, want string }{
		{"root:x:0:0:root:/root:/bin/bash", "root 0 0 7"},
		{"www-data:x:33:", "www-data 33 - 4"},
		{"staff:x:50", "staff 50 - 3"},
		{"big:x:4294967295:4294967295::/:", "big 4294967295 4294967295 7"},
		{"huge:x:4294967296:-1::/:", "huge - - 7"},
		{"odd:x:many:5:", "odd - 5 5"},
		{"empty:x:::", "empty - - 5"},
		{"spaces:x: 7 :7:", "spaces - 7 5"},
		{"ann:!:19000:0:99999:7::1:", "ann 19000 0 9"}, // shadow(5): ID is for the other two
		{" \tindented:x:1:1:", "indented 1 1 5"},
		{"alone", "alone - - 1"},
		{"shell:x:1:1::/:/bin/sh ", "shell 1 1 7"},
		{"many:x:9:" + long, "many 9 - 4"},
		{"", ""}, {" \t", ""}, {":x:1:1::/:/bin/sh", ""},
		{"# a comment: of:1:1", ""}, {"#gone:x:1002:1::/:", ""}, {"  #gone:x:1002:1::/:", ""},
		{"+", ""}, {"+::::::", ""}, {"+nis:x:1001:1::/:", ""}, {"+@group::::::", ""}, {"-bad:x:1:1::/:", ""},
	}
	path := filepath.Join(t.TempDir(), "passwd")
	for _, end := range []string{"", "\n", "\n\n"} {
		for _, tt := range tests {
			write(t, path, tt.line+end)
			entries, err := ReadEntries(path)
			var got []string
			for _, e := range entries {
				id, group := "-", "-"
				if n, ok := e.ID(); ok {
					id = fmt.Sprint(n)
				}
				if n, ok := e.number(3); ok {
					group = fmt.Sprint(n)
				}
				got = append(got, fmt.Sprint(e[0], " ", id, " ", group, " ", len(e)))
			}
			if strings.Join(got, "\n") != tt.want || err != nil {
				t.Errorf("%.60q: %q, %v, want %q", tt.line+end, got, err, tt.want)
			}
		}
	}
	var all strings.Builder
	for _, tt := range tests {
		all.WriteString(tt.line + "\n")
	}
	write(t, path, all.String())
	if entries, err := ReadEntries(path); len(entries) != 13 || err != nil {
		t.Errorf("%d entries of all lines, %v", len(entries), err)
	}
	if entries, err := ReadEntries(path + "-"); entries != nil || err != nil {
		t.Errorf("a missing file: %q, %v", entries, err)
	}
	if entries, err := ReadEntries(filepath.Dir(path)); err == nil {
		t.Errorf("a directory was read: %q", entries)
	}
}

func TestReadAccounts(t *testing.T) {
	p := At(t.TempDir())
	if a, err := ReadAccounts(p); err != nil || len(a.Names)+len(a.IDs) != 0 {
		t.Errorf("without files: %+v, %v", a, err)
	}
	if err := os.MkdirAll(filepath.Dir(p.Passwd), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		p.Passwd: "root:x:0:0:root:/root:/bin/bash\nann:x:20000:100::/home/ann:/bin/sh\n+nis::::::\nbroken\n",
		p.Group:  "root:x:0:\nstaff:x:50:ann,bob\nodd:x:many:\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, err := ReadAccounts(p)
	if err != nil {
		t.Fatal(err)
	}
	if names := slices.Sorted(maps.Keys(a.Names)); !slices.Equal(names, []string{"ann", "root", "staff"}) {
		t.Errorf("names %q", names)
	}
	if ids := slices.Sorted(maps.Keys(a.IDs)); !slices.Equal(ids, []uint32{0, 50, 20000}) {
		t.Errorf("ids %d", ids)
	}
}
