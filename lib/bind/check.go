package bind

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"iwx/lib/fault"
)

// CheckZone has named-checkzone judge a zone file by itself: it asks no other server.
func (s *Server) CheckZone(ctx context.Context, name, text string) error {
	if err := validName(name); err != nil {
		return err
	}
	dir, err := s.aside()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "zone")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	_, err = s.Command(ctx, "named-checkzone", "-i", "local", "-k", "fail", "-m", "fail", "-n", "fail", "-M", "fail", "-S", "fail", name, file)
	var it *said
	if errors.As(err, &it) && ctx.Err() == nil {
		return fault.New(fault.Failed, "the zone %s is not valid: named-checkzone: %s", name, faultsOf(it.text, file))
	}
	return err
}

// judge has named-checkconf judge zones as [Server.CheckZone] does: it asks no other
// server either.
const judge = `options {
	check-names primary fail;
	check-mx fail;
	check-mx-cname fail;
	check-srv-cname fail;
	check-integrity yes;
};
`

// checkZones is CheckZone for many zones, texts by name, in one run of
// named-checkconf: one of named-checkzone for each would take minutes for thousands.
func (s *Server) checkZones(ctx context.Context, texts map[string]string) error {
	names := slices.Sorted(maps.Keys(texts))
	if len(names) == 1 {
		return s.CheckZone(ctx, names[0], texts[names[0]])
	}
	if len(names) == 0 {
		return nil
	}
	complaint, err := s.judged(ctx, names, texts)
	if complaint == "" || err != nil {
		return err
	}
	for _, match := range notLoaded.FindAllStringSubmatch(complaint, -1) {
		if text, ours := texts[match[1]]; ours {
			if err := s.CheckZone(ctx, match[1], text); err != nil {
				return err
			}
		}
	}
	return fault.New(fault.Failed, "zones are not valid: named-checkconf: %s", loaded.ReplaceAllString(complaint, ""))
}

// Lines about a zone that is not valid, and about one that is.
var (
	notLoaded = regexp.MustCompile(`(?m)^zone (\S+)/IN: not loaded due to errors`)
	loaded    = regexp.MustCompile(`(?m)^zone \S+: loaded serial .*\n?`)
)

// judged returns what named-checkconf says if one of the zones is not valid.
func (s *Server) judged(ctx context.Context, names []string, texts map[string]string) (complaint string, err error) {
	dir, err := s.aside()
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	conf := strings.Builder{}
	conf.WriteString(judge)
	for i, name := range names {
		if err := validName(name); err != nil {
			return "", err
		}
		file := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(file, []byte(texts[name]), 0o600); err != nil {
			return "", err
		}
		fmt.Fprintf(&conf, "zone %q { type primary; file %q; };\n", name, file)
	}
	file := filepath.Join(dir, "named.conf")
	if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
		return "", err
	}
	_, err = s.Command(ctx, "named-checkconf", "-z", file)
	var it *said
	if errors.As(err, &it) && it.text != "" && ctx.Err() == nil {
		return it.text, nil
	}
	return "", err
}

// aside makes a directory for files that are judged and not served.
func (s *Server) aside() (string, error) {
	return os.MkdirTemp(filepath.Dir(s.ours()), ".iwx-check-*")
}

// checkConf has named-checkconf judge the whole configuration.
func (s *Server) checkConf(ctx context.Context) error {
	_, err := s.Command(ctx, "named-checkconf", s.config)
	var it *said
	if errors.As(err, &it) {
		return fault.Hint(fault.New(fault.Failed, "BIND's configuration is not valid, and was left as it was: named-checkconf: %s", it.text),
			"named-checkconf %s", s.config)
	}
	return err
}
