// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha512"
	"math/big"
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

// parseDER takes the ASN.1 form of an ECDSA signature apart into r || s, which fill sig. It
// tells whether it is one: two integers that are not negative and fit, in the one way that
// DER has of writing them.
func parseDER(sig, der []byte) bool {
	if len(der) < 2 || der[0] != 0x30 || der[1] >= 0x80 || int(der[1]) != len(der)-2 {
		return false
	}
	rest := der[2:]
	for half := range 2 {
		out := sig[half*len(sig)/2 : (half+1)*len(sig)/2]
		if len(rest) < 3 || rest[0] != 0x02 || rest[1] == 0 || rest[1] >= 0x80 || int(rest[1]) > len(rest)-2 {
			return false
		}
		n := rest[2 : 2+rest[1]]
		rest = rest[2+len(n):]
		if n[0] >= 0x80 || n[0] == 0 && len(n) > 1 && n[1] < 0x80 {
			return false
		}
		if n[0] == 0 {
			n = n[1:]
		}
		if len(n) > len(out) {
			return false
		}
		copy(out[len(out)-len(n):], n)
	}
	return len(rest) == 0
}

// The orders of the curves, and half of them: an s above it has a twin below (profile 2.8).
var (
	order256     = elliptic.P256().Params().N.FillBytes(make([]byte, 32))
	order384     = elliptic.P384().Params().N.FillBytes(make([]byte, 48))
	halfOrder256 = new(big.Int).Rsh(elliptic.P256().Params().N, 1).FillBytes(make([]byte, 32))
	halfOrder384 = new(big.Int).Rsh(elliptic.P384().Params().N, 1).FillBytes(make([]byte, 48))
)

// lowS puts the s of a signature into the low half, in place, and tells whether it
// was in the high one.
func lowS(alg Algorithm, sig []byte) bool {
	half, order := halfOrder256, order256
	switch alg {
	case ES256:
	case ES384:
		half, order = halfOrder384, order384
	default:
		return false
	}
	s := sig[len(sig)/2:]
	if bytes.Compare(s, half) <= 0 {
		return false
	}
	borrow := 0
	for i := len(s) - 1; i >= 0; i-- {
		d := int(order[i]) - int(s[i]) - borrow
		borrow = d >> 8 & 1
		s[i] = byte(d)
	}
	return true
}

// normalText returns the text of a signed token with s in the low half, which is what is
// stored and forwarded (profile 2.8).
func (t *token) normalText() string {
	sig := t.sig
	if !lowS(t.header.algorithm, sig[:t.sigLen]) {
		return t.text
	}
	var low [2 * maxSignature]byte
	return t.input + "." + string(strict.AppendEncode(low[:0], sig[:t.sigLen]))
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
