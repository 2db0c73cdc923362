// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package tlspeer says who is at the other end of a TLS connection.
package tlspeer

import "crypto/tls"

// Identity returns the identity that TLS authenticated: the one URI SAN of a certificate
// whose chain was verified, "" if there is none.
func Identity(s *tls.ConnectionState) string {
	if len(s.VerifiedChains) == 0 || len(s.VerifiedChains[0]) == 0 {
		return ""
	}
	leaf := s.VerifiedChains[0][0]
	if len(leaf.URIs) != 1 {
		return ""
	}
	return leaf.URIs[0].String()
}
