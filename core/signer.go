// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
)

// Signer signs what an [Issuer] writes. It takes a context, so that a key service on
// the network fits. Implementations must be safe for concurrent use.
type Signer interface {
	// Algorithm and KeyID become `alg` and `kid`. They must never change.
	Algorithm() Algorithm
	KeyID() string
	// Sign returns the JWS signature over input: r and s side by side for ECDSA
	// (RFC 7518, 3.4), 64 bytes for EdDSA (RFC 8037, 3.1).
	Sign(ctx context.Context, input []byte) ([]byte, error)
}

// NewSigner returns a signer for a private key in this process, or behind a
// [crypto.Signer]. The algorithm follows from the key: ES256 for P-256, ES384 for
// P-384, EdDSA for Ed25519; another key is an error, and so is an empty keyID.
// It is safe for concurrent use if the key is.
func NewSigner(key crypto.Signer, keyID string) (Signer, error) {
	if keyID == "" {
		return nil, errors.New("ect: NewSigner: the key id is empty")
	}
	if key == nil {
		return nil, errors.New("ect: NewSigner: the key is nil")
	}
	for _, alg := range []Algorithm{ES256, ES384, EdDSA} {
		if alg.fits(key.Public()) {
			return &keySigner{alg: alg, keyID: keyID, key: key}, nil
		}
	}
	return nil, errors.New("ect: NewSigner: the key is none of P-256, P-384 and Ed25519")
}

type keySigner struct {
	alg   Algorithm
	keyID string
	key   crypto.Signer
}

func (s *keySigner) Algorithm() Algorithm { return s.alg }
func (s *keySigner) KeyID() string        { return s.keyID }

func (s *keySigner) Sign(_ context.Context, input []byte) ([]byte, error) {
	switch s.alg {
	case ES256:
		return s.signSHA256(sha256.Sum256(input))
	case ES384:
		sum := sha512.Sum384(input)
		return s.ecdsa(sum[:], crypto.SHA384)
	}
	if key, ok := s.key.(ed25519.PrivateKey); ok {
		return ed25519.Sign(key, input), nil
	}
	return s.key.Sign(rand.Reader, input, crypto.Hash(0))
}

// signSHA256 is Sign for an ES256 signer and an input that was hashed already.
func (s *keySigner) signSHA256(sum [sha256.Size]byte) ([]byte, error) {
	return s.ecdsa(sum[:], crypto.SHA256)
}

func (s *keySigner) ecdsa(sum []byte, hash crypto.Hash) ([]byte, error) {
	var der []byte
	var err error
	if key, ok := s.key.(*ecdsa.PrivateKey); ok {
		der, err = ecdsa.SignASN1(rand.Reader, key, sum)
	} else {
		der, err = s.key.Sign(rand.Reader, sum, hash)
	}
	if err != nil {
		return nil, fmt.Errorf("ect: sign: %w", err)
	}
	sig := make([]byte, s.alg.signatureLen())
	if !parseDER(sig, der) {
		return nil, errors.New("ect: sign: the key gave no ECDSA signature")
	}
	order := order256
	if s.alg == ES384 {
		order = order384
	}
	if half := len(sig) / 2; !inRange(sig[:half], order) || !inRange(sig[half:], order) {
		return nil, errors.New("ect: sign: the key gave a signature out of range")
	}
	return sig, nil
}

// inRange tells whether a number is more than 0 and less than the order of a curve.
func inRange(n, order []byte) bool {
	return bytes.Compare(n, order) < 0 && bytes.Count(n, []byte{0}) < len(n)
}
