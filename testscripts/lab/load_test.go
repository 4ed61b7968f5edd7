package main

import (
	"testing"
	"time"

	"iwx/testscripts/load"
)

func TestSummary(t *testing.T) {
	got := summary(load.Answers{
		{Took: time.Millisecond, Server: "web2"},
		{Took: 2 * time.Second, Server: "web1"},
		{Took: 3 * time.Second, Lost: "read tcp: i/o timeout"},
		{Took: time.Millisecond, Server: "web2"},
	})
	if want := "asked 4\nlost 1\nslow 1\nlost: 1 × i/o timeout\nweb1 1\nweb2 2\n"; got != want {
		t.Errorf("%q", got)
	}
}
