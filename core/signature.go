// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha512"
	"math/big"
	"strings"
	"sync"
)

// publicKey is what all public keys of the standard library can do.
type publicKey interface {
	Equal(x crypto.PublicKey) bool
}

// fits tells whether an algorithm fits a key, by type and curve (profile 2.4).
func (a Algorithm) fits(key crypto.PublicKey) bool {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k == nil || k.X == nil || k.Y == nil { //nolint:staticcheck // only whether they are there: the key's own methods need them
			return false
		}
		return a == ES256 && k.Curve == elliptic.P256() || a == ES384 && k.Curve == elliptic.P384()
	case ed25519.PublicKey:
		return a.sameKey(EdDSA) && len(k) == ed25519.PublicKeySize
	}
	return false
}

// signatureLen is the length in bytes of a JWS signature (RFC 7518, 3.4; RFC 8037, 3.1).
func (a Algorithm) signatureLen() int {
	if a == ES384 {
		return 96
	}
	return 64
}

// verifySignature checks the signature of a token, of the length of its algorithm's,
// under a key that fits the algorithm.
func verifySignature(t *token, key crypto.PublicKey) bool {
	alg := t.header.algorithm
	sig := t.sig[:t.sigLen]
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		var der [maxSignature + 12]byte
		if alg == ES384 {
			sum := sha512.Sum384([]byte(t.input))
			return ecdsa.VerifyASN1(k, sum[:], appendDER(der[:0], sig))
		}
		// The token digest is SHA-256 over the signing input, which is what ES256 signs.
		return ecdsa.VerifyASN1(k, t.digest[:], appendDER(der[:0], sig))
	case ed25519.PublicKey:
		return ed25519.Verify(k, []byte(t.input), sig)
	}
	return false
}

// appendDER turns r || s of JWS into the ASN.1 form that crypto/ecdsa takes.
func appendDER(b, sig []byte) []byte {
	r, s := derInteger(sig[:len(sig)/2]), derInteger(sig[len(sig)/2:])
	b = append(b, 0x30, byte(2+r.len()+2+s.len()))
	return s.append(r.append(b))
}

// derInteger is a positive integer without leading zeros.
type derInteger []byte

func (d derInteger) trim() derInteger {
	for len(d) > 1 && d[0] == 0 {
		d = d[1:]
	}
	return d
}

func (d derInteger) len() int {
	t := d.trim()
	if t[0] >= 0x80 {
		return len(t) + 1
	}
	return len(t)
}

func (d derInteger) append(b []byte) []byte {
	t := d.trim()
	b = append(b, 0x02, byte(d.len()))
	if t[0] >= 0x80 {
		b = append(b, 0)
	}
	return append(b, t...)
}

// halfOrder is half of the order of a curve; an s above it has a twin below (profile 2.8).
var (
	halfOrder256 = new(big.Int).Rsh(elliptic.P256().Params().N, 1).FillBytes(make([]byte, 32))
	halfOrder384 = new(big.Int).Rsh(elliptic.P384().Params().N, 1).FillBytes(make([]byte, 48))
)

// lowS puts the s of a signature into the low half, in place, and tells whether it
// was in the high one.
func lowS(alg Algorithm, sig []byte) bool {
	half, curve := halfOrder256, elliptic.P256()
	switch alg {
	case ES256:
	case ES384:
		half, curve = halfOrder384, elliptic.P384()
	default:
		return false
	}
	s := sig[len(sig)/2:]
	for i := range s {
		switch {
		case s[i] < half[i]:
			return false
		case s[i] > half[i]:
			n := new(big.Int).Sub(curve.Params().N, new(big.Int).SetBytes(s))
			n.FillBytes(s)
			return true
		}
	}
	return false
}

// normalText returns the text of a token with s in the low half, which is what is
// stored and forwarded (profile 2.8).
func (t *token) normalText() string {
	if !t.signed {
		return strings.Clone(t.text)
	}
	sig := t.sig
	if !lowS(t.header.algorithm, sig[:t.sigLen]) {
		return strings.Clone(t.text)
	}
	b := make([]byte, 0, len(t.text))
	b = append(append(b, t.input...), '.')
	return string(strict.AppendEncode(b, sig[:t.sigLen]))
}

// sameKey compares two public keys, at no cost where they are the same object.
func sameKey(a, b publicKey) bool {
	if ea, ok := a.(*ecdsa.PublicKey); ok {
		if eb, ok := b.(*ecdsa.PublicKey); ok && ea == eb {
			return true
		}
	}
	return a.Equal(b)
}

// memory remembers verified signatures, so that a predecessor that comes again costs
// a lookup. An entry is a digest of what was signed, the signature and the key; only
// the same three are found again. When a shard is full it forgets its older half.
type memory struct {
	shards   [memoryShards]memoryShard
	perShard int
}

const memoryShards = 16

type memoryShard struct {
	mu          sync.Mutex
	now, before map[memoryKey]publicKey
}

type memoryKey struct {
	digest Digest
	sig    [maxSignature]byte
	alg    Algorithm
}

func newMemory(entries int) *memory {
	return &memory{perShard: max(entries/(2*memoryShards), 1)}
}

func (m *memory) at(t *token) (*memoryShard, memoryKey) {
	return &m.shards[t.digest[0]%memoryShards], memoryKey{t.digest, t.sig, t.header.algorithm}
}

// has tells whether this very signature was verified under this very key.
func (m *memory) has(t *token, key publicKey) bool {
	s, k := m.at(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.now[k]; ok {
		return sameKey(known, key)
	}
	known, ok := s.before[k]
	if !ok || !sameKey(known, key) {
		return false
	}
	s.put(k, known, m.perShard)
	return true
}

// add remembers a signature that was verified.
func (m *memory) add(t *token, key publicKey) {
	s, k := m.at(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(k, key, m.perShard)
}

func (s *memoryShard) put(k memoryKey, key publicKey, limit int) {
	if s.now == nil || len(s.now) >= limit {
		s.before, s.now = s.now, make(map[memoryKey]publicKey, 64)
	}
	s.now[k] = key
}
