package site

import "time"

// Reload is how a server's web server stands with the changes of sites: it is
// told of them by a reload, which starts all of its workers anew.
type Reload struct {
	WebServer string    // as in Order
	Owed      time.Time // since when there is a change that it has not been told of; zero: it knows them all
	Last      time.Time // when it was told last; zero: never
}

// Wait returns how long a reload is to wait yet, so that there is one in an
// interval and no more; 0 when it may be done at once, as after a quiet time.
func (r Reload) Wait(interval time.Duration, now time.Time) time.Duration {
	if now.Before(r.Last) { // the clock was set back
		return 0
	}
	return max(0, r.Last.Add(interval).Sub(now))
}
