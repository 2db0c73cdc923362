// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"bytes"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/go-ect/ect/core"
)

// TestParseDER holds the reading of ASN.1 signatures against encoding/asn1: over numbers
// of every length, and over every mangling of one byte and every cut.
func TestParseDER(t *testing.T) {
	type rs struct{ R, S *big.Int }
	agree := func(der []byte) {
		t.Helper()
		var want rs
		rest, err := asn1.Unmarshal(der, &want)
		ok := err == nil && len(rest) == 0 && want.R.Sign() >= 0 && want.S.Sign() >= 0 &&
			want.R.BitLen() <= 256 && want.S.BitLen() <= 256
		if ok { // asn1 takes what it does not write, such as members behind those it knows
			again, err := asn1.Marshal(want)
			ok = err == nil && bytes.Equal(again, der)
		}
		sig := make([]byte, 64)
		if got := core.ParseDER(sig, der); got != ok {
			t.Fatalf("ParseDER(%x) = %v, want %v", der, got, ok)
		}
		if ok && (new(big.Int).SetBytes(sig[:32]).Cmp(want.R) != 0 || new(big.Int).SetBytes(sig[32:]).Cmp(want.S) != 0) {
			t.Fatalf("ParseDER(%x) = %x", der, sig)
		}
	}
	number := func(bytes int, first byte) *big.Int {
		b := make([]byte, bytes)
		for i := range b {
			b[i] = byte(i) + first
		}
		return new(big.Int).SetBytes(b)
	}
	for _, first := range []byte{0x01, 0x7f, 0x80, 0xff} {
		for r := range 34 {
			for s := range 34 {
				der, err := asn1.Marshal(rs{number(r, first), number(s, first)})
				if err != nil {
					t.Fatal(err)
				}
				agree(der)
			}
		}
	}
	der, err := asn1.Marshal(rs{number(32, 0x80), number(31, 0x01)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range der {
		agree(der[:i])
		for b := range 256 {
			m := bytes.Clone(der)
			m[i] = byte(b)
			agree(m)
		}
	}
	agree(append(bytes.Clone(der), 0))
	for _, negative := range []rs{{big.NewInt(-1), big.NewInt(1)}, {big.NewInt(1), big.NewInt(-128)}} {
		der, err := asn1.Marshal(negative)
		if err != nil {
			t.Fatal(err)
		}
		agree(der)
	}
}
