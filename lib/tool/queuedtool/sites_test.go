package queuedtool

import (
	"testing"
	"time"

	"iwx/lib/site"
)

// TestLookAgain holds that what was amiss is looked at again once the queue has gone
// on, and what could not be looked at a little later.
func TestLookAgain(t *testing.T) {
	amiss := site.Report{Done: 7, Faults: []site.Fault{{What: "user ann is missing"}}}
	vain := site.Report{Done: 7, Error: "looking at the sites took longer than 20s"}
	for _, tt := range []struct {
		report site.Report
		done   uint64
		ago    time.Duration
		want   bool
	}{
		{site.Report{Done: 7}, 8, time.Hour, false},
		{amiss, 7, time.Hour, false},
		{amiss, 8, 0, true},
		{vain, 8, inspectRetry - 1, false},
		{vain, 7, inspectRetry, true},
	} {
		if got := lookAgain(&tt.report, tt.done, tt.ago); got != tt.want {
			t.Errorf("%+v, entry %d, %s later: %t", tt.report, tt.done, tt.ago, got)
		}
	}
}
