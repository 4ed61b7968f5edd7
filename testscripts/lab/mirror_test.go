package main

import (
	"testing"
	"testing/fstest"
)

func TestMirror(t *testing.T) {
	const release = "VERSION_CODENAME=bookworm\n"
	tests := []struct {
		name, file, text, want string
	}{
		{"deb822", "etc/apt/sources.list.d/debian.sources", "Types: deb\n# http://comment.example\nURIs: http://a.example/debian http://b.example\nSuites: bookworm bookworm-updates\n", "http://a.example/debian"},
		{"second stanza", "etc/apt/sources.list.d/x.sources", "Types: deb\nURIs: http://s.example\nSuites: bookworm-security\n\nTypes: deb\nURIs: http://a.example\nSuites: bookworm\n", "http://a.example"},
		{"one line", "etc/apt/sources.list", "# deb http://no.example bookworm main\ndeb [arch=amd64 signed-by=/k] http://a.example bookworm main\n", "http://a.example"},
		{"sources only", "etc/apt/sources.list", "deb-src http://s.example bookworm main\ndeb http://a.example bookworm main\n", "http://a.example"},
		{"another vendor's", "etc/apt/sources.list.d/x.list", "deb https://x.example stable main\ndeb http://a.example bookworm main", "http://a.example"},
		{"a list of mirrors", "etc/apt/sources.list", "deb mirror+file:/etc/apt/mirrors.list bookworm main\n", "http://m.example"},
		{"none", "etc/apt/sources.list.d/x.list", "deb https://x.example stable main\n", ""},
		{"no sources", "etc/apt/other", "", ""},
	}
	for _, tt := range tests {
		root := fstest.MapFS{
			"etc/os-release":       {Data: []byte(release)},
			"etc/apt/mirrors.list": {Data: []byte("# ours\nhttp://m.example\nhttp://n.example\n")},
			tt.file:                {Data: []byte(tt.text)},
		}
		got, err := Mirror(root)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: got %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}
