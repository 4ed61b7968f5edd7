package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// source is one repository of the machine's apt.
type source struct {
	uri    string
	suites []string
	types  []string
}

// Mirror returns the address of the Debian mirror that this machine's own apt
// uses, from the files of sources.list(5) below root: the first one that has
// this machine's release.
func Mirror(root fs.FS) (string, error) {
	release, err := fs.ReadFile(root, "etc/os-release")
	if err != nil {
		return "", err
	}
	codename := setting(string(release), "VERSION_CODENAME=")
	list, err := sources(root)
	if err != nil {
		return "", err
	}
	for _, s := range list {
		if slices.Contains(s.types, "deb") && slices.Contains(s.suites, codename) {
			return resolve(root, s.uri)
		}
	}
	return "", fmt.Errorf("no entry for %q in /etc/apt/sources.list or /etc/apt/sources.list.d names a Debian mirror", codename)
}

// setting returns the value of a KEY=VALUE line of os-release(5).
func setting(text, prefix string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), prefix); ok {
			return strings.Trim(value, `"'`)
		}
	}
	return ""
}

// resolve follows the method mirror+file of apt-transport-mirror(1), with which
// cloud images name their mirrors, to the first of them.
func resolve(root fs.FS, uri string) (string, error) {
	list, ok := strings.CutPrefix(uri, "mirror+file:")
	if !ok {
		return uri, nil
	}
	text, err := fs.ReadFile(root, strings.TrimLeft(list, "/"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 0 && !strings.HasPrefix(fields[0], "#") {
			return fields[0], nil
		}
	}
	return "", fmt.Errorf("%s names no mirror", uri)
}

// sources reads all sources, in both formats.
func sources(root fs.FS) ([]source, error) {
	var list []source
	for _, pattern := range []string{"etc/apt/sources.list", "etc/apt/sources.list.d/*.list", "etc/apt/sources.list.d/*.sources"} {
		names, err := fs.Glob(root, pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			text, err := fs.ReadFile(root, name)
			if err != nil {
				return nil, err
			}
			if strings.HasSuffix(name, ".sources") {
				list = append(list, deb822(string(text))...)
			} else {
				list = append(list, oneLine(string(text))...)
			}
		}
	}
	if len(list) == 0 {
		return nil, errors.New("apt has no sources on this machine")
	}
	return list, nil
}

// oneLine reads "deb [options] uri suite component…" lines.
func oneLine(text string) (list []source) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if before, after, ok := strings.Cut(line, "["); ok {
			_, rest, _ := strings.Cut(after, "]")
			line = before + rest
		}
		if f := strings.Fields(line); len(f) >= 3 {
			list = append(list, source{uri: f[1], suites: f[2:3], types: f[:1]})
		}
	}
	return list
}

// deb822 reads stanzas of "Key: value" lines, the first URI of each.
func deb822(text string) (list []source) {
	for stanza := range strings.SplitSeq(text, "\n\n") {
		var s source
		for line := range strings.Lines(stanza) {
			key, value, _ := strings.Cut(line, ":")
			fields := strings.Fields(value)
			switch strings.ToLower(key) {
			case "types":
				s.types = fields
			case "suites":
				s.suites = fields
			case "uris":
				s.uri = append(fields, "")[0]
			}
		}
		if s.uri != "" {
			list = append(list, s)
		}
	}
	return list
}
