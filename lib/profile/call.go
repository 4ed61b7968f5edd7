package profile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"iwx/lib/panics"
)

// callGrace is how long a call may take to notice that its deadline is over.
const callGrace = 2 * time.Second

// check asks the item's applier what it would do.
func (c *Converger) check(ctx context.Context, item Item) (change string, err error) {
	applier := c.Appliers[item.Kind]
	if applier == nil {
		return "", errors.New(unknownKind(item))
	}
	found := make(chan string, 1) // empty after a panic, which counts as an error
	err = c.call(ctx, item, func(ctx context.Context) error {
		text, err := applier.Check(ctx, item)
		found <- text
		return err
	})
	if err != nil {
		return "", err
	}
	return <-found, nil
}

// call runs a method of an applier with a deadline. One that does not heed it,
// since it hangs in the kernel on a dead file server, say, is left behind: it
// holds up that item alone, which is not begun again before it returns.
func (c *Converger) call(ctx context.Context, item Item, method func(context.Context) error) error {
	key := item.String()
	if since, hangs := c.enter(key); hangs {
		return fmt.Errorf("the call that began at %s still hangs", since.UTC().Format(time.RFC3339))
	}
	limit := c.limit(item.Kind)
	limited, cancel := context.WithTimeout(ctx, limit)
	done := make(chan error, 1)
	go func() {
		defer cancel()
		err := panics.Try(c.Log, "item "+key+" of the profile", func() error { return method(limited) })
		c.leave(key)
		done <- err
	}()
	select {
	case err := <-done:
		return late(err, limit)
	case <-limited.Done():
	}
	grace := time.NewTimer(callGrace)
	defer grace.Stop()
	select {
	case err := <-done:
		return late(err, limit)
	case <-grace.C:
		return fmt.Errorf("no answer within %s; it may still hang", limit)
	}
}

// late puts a deadline that was heeded into words.
func late(err error, limit time.Duration) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("not done within %s", limit)
	}
	return err
}

// limit returns how long one call may take.
func (c *Converger) limit(kind string) time.Duration {
	return cmp.Or(c.Limits[kind], c.Limit, callLimit)
}

// enter notes that a call for the item is under way, unless one is.
func (c *Converger) enter(key string) (since time.Time, hangs bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if since, hangs = c.hangs[key]; hangs {
		return since, true
	}
	if c.hangs == nil {
		c.hangs = map[string]time.Time{}
	}
	c.hangs[key] = c.Now()
	return time.Time{}, false
}

func (c *Converger) leave(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.hangs, key)
}
