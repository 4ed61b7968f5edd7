package wait

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestSleep(t *testing.T) {
	began := time.Now()
	if err := Sleep(t.Context(), 20*time.Millisecond); err != nil || time.Since(began) < 20*time.Millisecond {
		t.Errorf("slept for %v: %v", time.Since(began), err)
	}
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("why"))
	for _, d := range []time.Duration{time.Hour, 0, -1} {
		// With no time to wait, either may come first.
		if err := Sleep(ended, d); d > 0 && !errors.Is(err, context.Canceled) {
			t.Errorf("%v after the end of the context: %v", d, err)
		}
	}
}

func TestUntil(t *testing.T) {
	var pauses []time.Duration
	pause := func(took time.Duration) time.Duration { pauses = append(pauses, took); return time.Millisecond }
	calls := 0
	err := Until(t.Context(), pause, func() (bool, error) {
		calls++
		if calls == 2 {
			time.Sleep(20 * time.Millisecond)
		}
		return calls == 4, nil
	})
	if err != nil || calls != 4 || len(pauses) != 3 {
		t.Errorf("%d calls, %d pauses, %v", calls, len(pauses), err)
	}
	if pauses[1] < 20*time.Millisecond {
		t.Errorf("the pauses got %v", pauses)
	}
	failed := errors.New("it failed")
	if err := Until(t.Context(), Every(time.Hour), func() (bool, error) { return false, failed }); err != failed {
		t.Errorf("got %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	calls = 0
	err = Until(ended, Every(time.Hour), func() (bool, error) { calls++; cancel(); return false, nil })
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
	if err := Until(ended, Every(time.Hour), func() (bool, error) { return true, nil }); err != nil {
		t.Errorf("what is done at the first look is done: %v", err)
	}
}

func TestSignal(t *testing.T) {
	s := NewSignal()
	for range 3 {
		s.Set()
	}
	<-s
	select {
	case <-s:
		t.Error("three settings were not one")
	default:
	}
	go s.Set()
	<-s
}
