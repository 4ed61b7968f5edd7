package site

import (
	"testing"
	"time"
)

func TestReloadWait(t *testing.T) {
	now := time.UnixMilli(100000)
	for name, tt := range map[string]struct {
		last     time.Time
		interval time.Duration
		want     time.Duration
	}{
		"never told":             {time.Time{}, 5 * time.Second, 0},
		"after a quiet time":     {now.Add(-time.Minute), 5 * time.Second, 0},
		"just over":              {now.Add(-5 * time.Second), 5 * time.Second, 0},
		"within the interval":    {now.Add(-2 * time.Second), 5 * time.Second, 3 * time.Second},
		"in this very moment":    {now, 5 * time.Second, 5 * time.Second},
		"without an interval":    {now, 0, 0},
		"the clock was set back": {now.Add(time.Hour), 5 * time.Second, 0},
	} {
		if got := (Reload{Last: tt.last}).Wait(tt.interval, now); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
