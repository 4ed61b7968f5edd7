package setuptool

import (
	"context"
	"crypto/x509"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/daemon"
	"iwx/lib/fault"
	"iwx/lib/pki"
)

type renewVerb struct{}

// Run renews this server's certificate: the manager signs its own, a node asks
// the manager. The key stays, so that the new file is the whole change, and the
// daemon takes it up by itself.
func (*renewVerb) Run(c *cli.Context) error {
	h, err := setUp(c)
	if err != nil {
		return err
	}
	defer h.Close()
	unlock, err := h.lock()
	if err != nil {
		return err
	}
	defer unlock()
	cert, err := h.newCertificate(c)
	if err != nil {
		return err
	}
	if err := h.Keys.SaveCertificate(cert); err != nil {
		return err
	}
	daemon.Poke(h.Run)
	c.Notef("the certificate of this server is renewed, until %s", cert.NotAfter.UTC().Format(time.RFC3339))
	return nil
}

func (h *here) newCertificate(ctx context.Context) (*x509.Certificate, error) {
	key, err := h.Keys.EnsureKey()
	if err != nil {
		return nil, err
	}
	if h.Identity.Role == cluster.RoleManager {
		ca, err := h.Keys.CA()
		if err != nil {
			return nil, err
		}
		return ca.SignManager(key.Public(), h.c.Now())
	}
	csr, err := pki.NewCSR(key)
	if err != nil {
		return nil, err
	}
	client, err := h.ManagerClient(ctx, nil, h.c.Now)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return client.Renew(ctx, csr)
}

// setUp opens a server that is set up, for verbs that make sense on no other.
func setUp(c *cli.Context) (*here, error) {
	h, err := lookAt(c)
	if err != nil {
		return nil, err
	}
	if h.Identity != nil {
		return h, nil
	}
	defer h.Close()
	if h.Begun {
		return nil, fault.Hint(fault.New(fault.Failed, "the setup of this server has not finished"),
			"run the iwx-cluster-setup command again; it goes on where it stopped")
	}
	return nil, fault.Hint(fault.New(fault.Failed, notInState),
		"make it the manager: iwx-cluster-setup manager --quorum-ip IP\nor a node, with a token from the manager: iwx-cluster-setup node")
}
