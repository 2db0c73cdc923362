// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
)

// TestHashOf: messages are told apart by their lengths, an empty one counts, and none has no
// hash.
func TestHashOf(t *testing.T) {
	ab, c := []byte("ab"), []byte("c")
	for _, messages := range [][][]byte{{nil}, {ab}, {ab, c}, {[]byte("abc")}, {ab, nil, c}} {
		if got, want := grpcect.HashOf(messages...), wireHash(messages...); got != want {
			t.Errorf("HashOf(%q) = %v, want %v", messages, got, want)
		}
	}
	if got := grpcect.HashOf(); got != (core.Hash{}) {
		t.Errorf("HashOf() = %v", got)
	}
}
