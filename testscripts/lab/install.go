package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// install boots one server, installs the package under test on it as an
// administrator would, and keeps its disk as the seed of all others.
func (l *Lab) install(ctx context.Context) error {
	packages, err := filepath.Glob(filepath.Join(l.dist, "iwx_*.deb"))
	if err != nil {
		return err
	}
	if len(packages) != 1 {
		return fmt.Errorf("%d packages in %s, and one is wanted: make clean packages", len(packages), l.dist)
	}
	if err := command(ctx, "cp", packages[0], l.share()); err != nil {
		return err
	}
	return l.grow(ctx, "dpkg --install /lab/iwx_*.deb")
}

// grow makes the seed: a fresh server on which a shell line was run.
func (l *Lab) grow(ctx context.Context, line string) error {
	const name = "web1"
	s := l.servers[name]
	if err := l.Fresh(ctx, []string{name}); err != nil {
		return err
	}
	if _, err := s.Do(ctx, nil, "sh", "-c", line); err != nil {
		return fmt.Errorf("installing iwx: %w", err)
	}
	if err := s.ShutDown(ctx); err != nil {
		return err
	}
	seed := filepath.Join(l.dir, "seed.cow")
	if err := command(ctx, "mv", s.file("cow"), seed); err != nil {
		return err
	}
	l.seed = seed
	return nil
}
