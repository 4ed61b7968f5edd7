package cluster

import "testing"

// TestDisown holds that entries of another log stay known however often, and from
// wherever on, they are taken out of a status.
func TestDisown(t *testing.T) {
	for _, firsts := range [][]uint64{{3}, {3, 2}, {2, 3}, {3, 3, 2}, {0, 3, 2}} {
		s := Status{Done: 3, Blocked: &Blocked{Seq: 4}}
		lowest := uint64(3)
		for _, first := range firsts {
			s.Disown(first)
			if first > 0 {
				lowest = min(lowest, first)
			}
		}
		if s.Beyond != 3 || s.Done != lowest-1 || s.Blocked != nil {
			t.Errorf("%d: beyond %d, done %d, %+v; want 3, %d and nothing", firsts, s.Beyond, s.Done, s.Blocked, lowest-1)
		}
	}
}
