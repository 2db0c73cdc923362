// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"

	"github.com/go-jose/go-jose/v4"

	"github.com/go-ect/ect/core"
)

// Key is the key of one service.
type Key struct {
	*ecdsa.PrivateKey
	// ID is its thumbprint (RFC 7638), which names it.
	ID string
}

// NewKey returns a new P-256 key.
func NewKey() (Key, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Key{}, err
	}
	jwk := jose.JSONWebKey{Key: key.Public()}
	thumb, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return Key{}, err
	}
	return Key{key, base64.RawURLEncoding.EncodeToString(thumb)}, nil
}

// JWKS returns the public key as a JWK Set.
func (k Key) JWKS() jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{
		Key: k.Public(), KeyID: k.ID, Algorithm: string(jose.ES256), Use: "sig",
	}}}
}

// Trust returns a binder that believes each identity under its own key. It gets the keys as
// another vendor would hand them over: JSON, public keys only.
func Trust(keys map[string]Key) (core.Binder, error) {
	sets := map[string]*core.KeySet{}
	for identity, key := range keys {
		set, err := json.Marshal(key.JWKS())
		if err != nil {
			return nil, err
		}
		if sets[identity], err = core.ParseKeySet(set); err != nil {
			return nil, err
		}
	}
	return core.NewStaticBinder(sets)
}
