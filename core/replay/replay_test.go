// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/go-ect/ect/core/replay"
)

func TestNewKey(t *testing.T) {
	jti := [16]byte{0x9f, 15: 0x11}
	for _, n := range []int{0, 1, 31, 255, 256, 257, 512, 513, 2048, 10_000} {
		for _, signed := range []bool{false, true} {
			t.Run(fmt.Sprintf("issuer=%d/signed=%t", n, signed), func(t *testing.T) {
				issuer := strings.Repeat("x", n)
				class := byte(0)
				if signed {
					class = 1
				}
				var b []byte
				for _, part := range [][]byte{{class}, []byte(issuer), jti[:]} {
					b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
					b = append(b, part...)
				}
				if got, want := replay.NewKey(signed, issuer, jti), replay.Key(sha256.Sum256(b)); got != want {
					t.Errorf("NewKey = %x, want %x", got, want)
				}
			})
		}
	}
}

func TestNewKeyTellsApart(t *testing.T) {
	type input struct {
		signed bool
		issuer string
		taskID [16]byte
	}
	seen := make(map[replay.Key]input)
	for _, signed := range []bool{false, true} {
		for _, issuer := range []string{"", "\x00", "\x01", "a", "a\x00", "ab", "spiffe://example.org/a"} {
			for _, taskID := range [][16]byte{{}, {1}, {15: 1}, {'b'}} {
				in := input{signed, issuer, taskID}
				k := replay.NewKey(signed, issuer, taskID)
				if other, ok := seen[k]; ok {
					t.Errorf("NewKey is equal for %v and %v", in, other)
				}
				seen[k] = in
			}
		}
	}
}

func TestNewKeyAllocates(t *testing.T) {
	for _, n := range []int{0, 64, 256, 257, 2048} {
		issuer := strings.Repeat("x", n)
		if got := testing.AllocsPerRun(100, func() { replay.NewKey(true, issuer, [16]byte{1}) }); got != 0 {
			t.Errorf("NewKey with an issuer of %d bytes allocates %v times, want 0", n, got)
		}
	}
}

func TestOutcomeString(t *testing.T) {
	for o, want := range map[replay.Outcome]string{
		replay.Fresh: "fresh", replay.Same: "same", replay.Conflict: "conflict", 0: "unknown", 4: "unknown", 255: "unknown",
	} {
		if got := o.String(); got != want {
			t.Errorf("Outcome(%d).String() = %q, want %q", uint8(o), got, want)
		}
	}
}
