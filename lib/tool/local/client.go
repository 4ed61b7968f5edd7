package local

import (
	"context"
	"time"

	"iwx/lib/api"
	"iwx/lib/pki"
)

// ManagerClient returns a client of the manager for the node that this server is, with
// the node's credentials; nil stands for the certificate that is stored now. The
// addresses are those in the state, as the quorum IP may have moved since the server was
// opened. The caller must Close the client.
func (s *Server) ManagerClient(ctx context.Context, creds *pki.Credentials, now func() time.Time) (*api.Client, error) {
	keys := pki.Store{Dir: s.PKI}
	ca, err := keys.Root()
	if err != nil {
		return nil, err
	}
	if creds == nil {
		cert, err := keys.Certificate()
		if err != nil {
			return nil, err
		}
		creds = pki.NewCredentials(cert)
	}
	config, err := pki.ClientConfig(ca, creds, now)
	if err != nil {
		return nil, err
	}
	id, err := s.Store.Identity(ctx)
	if err != nil {
		return nil, err
	}
	return api.NewClient(id.ManagerAddresses(), id.Address, config), nil
}
