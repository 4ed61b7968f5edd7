package cluster

import (
	"crypto/ed25519"
	"crypto/x509"
	"time"

	"iwx/lib/pki"
	"iwx/lib/queue"
)

// Keys is the Signer that holds the cluster's keys in this process.
type Keys struct {
	CA      *pki.CA
	Log     ed25519.PrivateKey
	Cluster string // id
	Now     func() time.Time
}

// SignNode implements Signer.
func (k *Keys) SignNode(csr []byte, nodeID string) (*x509.Certificate, error) {
	return k.CA.SignNode(csr, nodeID, k.Now())
}

// SignHead implements Signer.
func (k *Keys) SignHead(p queue.Position) ([]byte, error) {
	return pki.SignHead(k.Log, Head(k.Cluster, p)), nil
}

// Head returns the position as the log key signs it.
func Head(cluster string, p queue.Position) pki.Head {
	return pki.Head{ClusterID: cluster, Epoch: p.Epoch, Seq: p.Seq, Hash: p.Hash}
}
