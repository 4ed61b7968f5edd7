package health

import (
	"strconv"
	"strings"
)

const mostInterim = 5 // answers 1xx before the one that is meant (RFC 9110 §15.2)

// http asks for a page, and reads no further than the header of the answer
// (RFC 9112).
func (d *dialog) http() error {
	request := "GET " + d.check.Path + " HTTP/1.1\r\nHost: " + d.addr +
		"\r\nUser-Agent: iwx-lb\r\nAccept: */*\r\nConnection: close\r\n\r\n"
	if err := d.send("answer to GET", request); err != nil {
		return err
	}
	for range mostInterim {
		status, reason, err := d.status()
		if err != nil {
			return err
		}
		if _, err := d.lines(""); err != nil { // the header's fields
			return err
		}
		if status < 200 {
			continue
		}
		if !d.check.accepts(status) {
			return &trouble{Wrong, strings.TrimSpace("answered " + strconv.Itoa(status) + " " + plain(reason))}
		}
		return nil
	}
	return &trouble{Wrong, "answered 1xx again and again"}
}

// status reads a status line.
func (d *dialog) status() (status int, reason string, err error) {
	line, err := d.line()
	if err != nil {
		return 0, "", err
	}
	version, rest, _ := strings.Cut(line, " ")
	code, reason, _ := strings.Cut(rest, " ")
	status, err = strconv.Atoi(code)
	if !strings.HasPrefix(version, "HTTP/1.") || len(code) != 3 || err != nil || status < 100 {
		return 0, "", &trouble{Wrong, "answered with " + quote(line) + ", which is not HTTP"}
	}
	return status, reason, nil
}

// plain is what a service said, without quotes: no longer than they would be,
// and with no control characters.
func plain(said string) string { return strings.Trim(quote(said), `"`) }
