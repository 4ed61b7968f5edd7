package cli

import "testing"

func TestCount(t *testing.T) {
	for n, want := range []string{"0 nodes", "1 node", "2 nodes"} {
		check(t, "count", Count(n, "node", "nodes"), want)
	}
	check(t, "count", Count(uint64(1), "entry", "entries"), "1 entry")
}

func TestSome(t *testing.T) {
	tests := []struct {
		names []string
		want  string
	}{
		{nil, ""},
		{[]string{"a"}, "a"},
		{[]string{"a", "b", "c"}, "a, b, c"},
		{[]string{"a", "b", "c", "d"}, "a, b and 2 more"},
		{[]string{"a", "b", "c", "d", "e"}, "a, b and 3 more"},
	}
	for _, tt := range tests {
		check(t, "list", Some(tt.names, 3), tt.want)
	}
}
