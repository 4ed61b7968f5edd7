package backup_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"iwx/lib/backup"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// shelf has backups of the cluster demo at days before noon, and things that
// are not.
func shelf(t *testing.T, days ...int) backup.Shelf {
	t.Helper()
	s := backup.Shelf{Dir: t.TempDir(), Cluster: "demo"}
	for _, d := range days {
		put(t, s, s.Name(noon.AddDate(0, 0, -d)))
	}
	for _, name := range others() {
		put(t, s, name)
	}
	return s
}

func put(t *testing.T, s backup.Shelf, name string) {
	t.Helper()
	if err := os.WriteFile(s.Path(name), []byte(name), 0o600); err != nil {
		t.Fatal(err)
	}
}

// others are names that are not of a backup of the cluster demo.
func others() []string {
	return []string{
		"iwx-demo2-20200101T000000Z.backup", "iwx-demo-2-20200101T000000Z.backup", "iwx-demo-20200101T000000Z.backup.old",
		"iwx-demo-20201301T000000Z.backup", "iwx-demo-20200101T000000Z", "demo.backup", ".iwx-demo-x.backup.1.tmp", "notes",
	}
}

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestRotate(t *testing.T) {
	tests := []struct {
		name   string
		days   []int
		keep   int
		latest int // days before noon
		want   []int
	}{
		{"fewer than there may be", []int{0, 1}, 7, 0, []int{0, 1}},
		{"the oldest go", []int{0, 1, 2, 3, 9}, 3, 0, []int{0, 1, 2}},
		{"the last one stays", []int{0, 1}, 1, 0, []int{0}},
		{"and also when none is to be kept", []int{0, 1}, 0, 0, []int{0}},
		{"the clock was set back", []int{0, 1, 2, 5}, 2, 5, []int{0, 5}},
		{"the clock was ahead", []int{-300, -2, 0, 1}, 3, 0, []int{0, 1, -300}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := shelf(t, tt.days...)
			put(t, s, "."+s.Name(noon)+".123.tmp") // of a writer that was killed
			if _, err := s.Rotate(tt.keep, s.Name(noon.AddDate(0, 0, -tt.latest)), noon); err != nil {
				t.Fatal(err)
			}
			want := others()
			for _, d := range tt.want {
				want = append(want, s.Name(noon.AddDate(0, 0, -d)))
			}
			slices.Sort(want)
			if got := names(t, s.Dir); !slices.Equal(got, want) {
				t.Errorf("left:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

func TestList(t *testing.T) {
	s := shelf(t, 3, -2, 1)
	if err := os.Mkdir(s.Path(s.Name(noon)), 0o700); err != nil { // no file
		t.Fatal(err)
	}
	list, err := s.List(noon)
	var got []string
	for _, k := range list {
		got = append(got, k.Name)
		if k.Size != int64(len(k.Name)) {
			t.Errorf("%s: %d bytes", k.Name, k.Size)
		}
	}
	want := []string{s.Name(noon.AddDate(0, 0, -1)), s.Name(noon.AddDate(0, 0, -3)), s.Name(noon.AddDate(0, 0, 2))}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	missing := backup.Shelf{Dir: filepath.Join(s.Dir, "missing"), Cluster: "demo"}
	if list, err := missing.List(noon); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestClear(t *testing.T) {
	s := shelf(t, 0, 1, -5)
	for range 2 {
		if err := s.Clear(); err != nil {
			t.Fatal(err)
		}
	}
	want := others()
	slices.Sort(want)
	if got := names(t, s.Dir); !slices.Equal(got, want) {
		t.Errorf("left: %v", got)
	}
	alone := backup.Shelf{Dir: t.TempDir(), Cluster: "demo"}
	put(t, alone, alone.Name(noon))
	if err := alone.Clear(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(alone.Dir); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
}

// A name comes over the network, and becomes that of a file.
func TestNamesHaveNoSlash(t *testing.T) {
	s := backup.Shelf{Dir: "/shelf", Cluster: strings.Repeat("a", 253)}
	if _, ok := s.Time(s.Name(noon)); !ok || len(s.Name(noon)) > 200 {
		t.Errorf("%q", s.Name(noon))
	}
	for _, name := range append(others(), "", "../"+s.Name(noon), s.Name(noon)+"/..", "/etc/passwd") {
		if _, ok := s.Time(name); ok {
			t.Errorf("%q is taken for a backup", name)
		}
	}
}
