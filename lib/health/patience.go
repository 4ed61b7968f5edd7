package health

import "time"

// For how long an answer is waited for before it is late, in terms of what the
// answers of a target took so far.
const (
	lateFactor  = 4                      // so many times as long as the longest of late
	hurryFactor = 2                      // or, where nothing is accepted for all that time
	leastLate   = 250 * time.Millisecond // no answer is late before
	leastHurry  = 400 * time.Millisecond // and none is given up before
	enoughAsks  = 30                     // answers, before what they took is to be relied on: a minute of HTTP
	forgetting  = 200                    // after so many answers, a long one counts for a third of itself
)

// usual is what the answers of a target take: the longest, forgotten bit by
// bit, so that a page which is slow now and then stays known as such.
type usual struct {
	longest time.Duration
	answers int
}

// note takes what one more answer took.
func (u *usual) note(took time.Duration) {
	u.longest = max(took, u.longest-u.longest/forgetting)
	u.answers = min(u.answers+1, enoughAsks)
}

// expected returns after how long there mostly is an answer: where one is waited
// for anxiously, another probe would only be one more thing to do before that.
func (u *usual) expected() time.Duration { return max(2*u.longest, doubtInterval) }

// latest returns after how long there has always been an answer.
func (u *usual) latest() time.Duration { return max(u.longest+u.longest/4, doubtInterval) }

// late returns after how long an answer is late enough to be asked for again,
// beside. That alone is no failure.
func (u *usual) late(c Check) time.Duration {
	return min(max(lateFactor*u.longest, leastLate), c.Timeout)
}

// hurry returns for how long an answer is waited for at a service that accepts
// nothing: in which no process of it has come to an end of anything. It is all of
// the check's Timeout, where not enough is known of it.
func (u *usual) hurry(c Check) time.Duration {
	if u.answers < enoughAsks {
		return c.Timeout
	}
	return min(max(hurryFactor*u.longest, leastHurry), c.Timeout)
}
