package queuedtool

import (
	"context"
	"crypto"
	"crypto/x509"
	"math/rand/v2"
	"time"

	"iwx/lib/backoff"
	"iwx/lib/panics"
	"iwx/lib/pki"
	"iwx/lib/wait"
)

// Times of the renewal.
const (
	renewLook  = time.Hour        // the clock may be set, so the wait is looked at again
	renewAgain = 10 * time.Minute // after a failure, on average
)

// renew has this server's certificate renewed when it is 50 to 80 % through its
// life, at a random moment, so that nodes which joined together do not ask
// together.
func (d *server) renew(ctx context.Context) error {
	var current *x509.Certificate
	var at time.Time
	for {
		if leaf := d.creds.Leaf(); current == nil || !leaf.Equal(current) {
			current, at = leaf, pki.RenewAt(leaf, rand.Float64())
		}
		pause := at.Sub(d.c.Now())
		if pause <= 0 {
			err := panics.Try(d.log, "renewal of the certificate", func() error { return d.renewNow(ctx) })
			if ctx.Err() != nil {
				return nil
			}
			if err == nil {
				continue
			}
			d.log.Warn("cannot renew the certificate", "expires", current.NotAfter, "error", err)
			pause = backoff.Jitter(renewAgain, rand.Float64())
		}
		if wait.Sleep(ctx, min(pause, renewLook)) != nil {
			return nil
		}
	}
}

// renewNow gets a new certificate for the key that this server has, and begins
// to use it.
func (d *server) renewNow(ctx context.Context) error {
	key, err := d.keys.EnsureKey()
	if err != nil {
		return err
	}
	sign := d.askManager
	if d.IsManager() {
		sign = d.signManager
	}
	cert, err := sign(ctx, key)
	if err != nil {
		return err
	}
	if err := d.keys.SaveCertificate(cert); err != nil {
		return err
	}
	d.log.Info("the certificate has been renewed", "expires", cert.NotAfter)
	return d.readCertificate()
}

func (d *server) askManager(ctx context.Context, key crypto.Signer) (*x509.Certificate, error) {
	csr, err := pki.NewCSR(key)
	if err != nil {
		return nil, err
	}
	client, err := d.ManagerClient(ctx, d.creds, d.c.Now)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return client.Renew(ctx, csr)
}

func (d *server) signManager(_ context.Context, key crypto.Signer) (*x509.Certificate, error) {
	ca, err := d.keys.CA()
	if err != nil {
		return nil, err
	}
	return ca.SignManager(key.Public(), d.c.Now())
}
