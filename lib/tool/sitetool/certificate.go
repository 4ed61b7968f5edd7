package sitetool

import (
	"errors"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/input"
	"iwx/lib/site"
)

// mostPEM bounds a file of certificates or keys: more is something else.
const mostPEM = 1 << 20

// readCertificate reads a certificate and its key from files; chain names another
// with those that it was signed with, "" for none.
func readCertificate(c *cli.Context, names []string, cert, chain, key string) (*site.Pair, error) {
	certText, err := readPEM(c, cert)
	if err != nil {
		return nil, err
	}
	if chain != "" {
		more, err := readPEM(c, chain)
		if err != nil {
			return nil, err
		}
		certText = append(append(certText, '\n'), more...)
	}
	keyText, err := readPEM(c, key)
	if err != nil {
		return nil, err
	}
	pair, err := site.ParsePair(certText, keyText, names, c.Now())
	if err != nil {
		return nil, fault.New(0, "%s, %s: %w", cert, key, err)
	}
	return pair, nil
}

func readPEM(c *cli.Context, name string) ([]byte, error) {
	text, err := input.ReadFile(c, name, mostPEM)
	switch {
	case errors.Is(err, input.ErrTooLong):
		return nil, fault.New(fault.Usage, "%s is too large for a certificate or key", name)
	case err != nil:
		return nil, fault.WithCode(err, fault.Usage)
	}
	return input.Text(text), nil
}
