// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package tlspeer_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"testing"

	"github.com/go-ect/ect/internal/tlspeer"
)

func TestIdentity(t *testing.T) {
	const id = "spiffe://example.org/ns/shop"
	cert := func(uris ...string) *x509.Certificate {
		c := &x509.Certificate{DNSNames: []string{"shop.example.org"}}
		for _, text := range uris {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = append(c.URIs, u)
		}
		return c
	}
	one := cert(id)
	for _, tt := range []struct {
		name  string
		state tls.ConnectionState
		want  string
	}{
		{"no certificate", tls.ConnectionState{HandshakeComplete: true}, ""},
		{"not verified", tls.ConnectionState{PeerCertificates: []*x509.Certificate{one}}, ""},
		{"an empty chain", tls.ConnectionState{PeerCertificates: []*x509.Certificate{one}, VerifiedChains: [][]*x509.Certificate{{}}}, ""},
		{"no URI", tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert()}}}, ""},
		{"one URI", tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{one}}}, id},
		{"two URIs", tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert(id, id+"/b")}}}, ""},
		{"the URI of an authority", tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert(), one}}}, ""},
		{"an authority with one too", tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{one, cert("spiffe://example.org")}}}, id},
		{"two chains", tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{one, cert()}, {one}}}, id},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tlspeer.Identity(&tt.state); got != tt.want {
				t.Errorf("Identity = %q, want %q", got, tt.want)
			}
		})
	}
}
