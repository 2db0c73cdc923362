// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"context"
	"encoding/base64"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/internal/section"
	"github.com/go-ect/ect/internal/tlspeer"
)

// receiptsKey is where receipts are in metadata (profile 8.3).
const receiptsKey = core.CarrierReceipts + "-bin"

// carries tells whether metadata has tokens or receipts.
func carries(md metadata.MD) bool {
	return len(md[core.CarrierTokens]) > 0 || len(md[receiptsKey]) > 0
}

// strip removes tokens and receipts from metadata of our own.
func strip(md metadata.MD) {
	delete(md, core.CarrierTokens)
	delete(md, receiptsKey)
}

// without returns metadata without tokens and receipts, a copy if it has any.
func without(md metadata.MD) metadata.MD {
	for name := range md {
		// SetHeader and its like take metadata that was not made by this package.
		switch strings.ToLower(name) {
		case core.CarrierTokens, receiptsKey:
			out := metadata.MD{}
			for name, values := range md {
				if n := strings.ToLower(name); n != core.CarrierTokens && n != receiptsKey {
					out[name] = values
				}
			}
			return out
		}
	}
	return md
}

// sizeOf returns the bytes of metadata as it is on the wire: names and values and four an
// entry (profile 9.2). Binary values are in base64 there.
func sizeOf(md metadata.MD) int {
	n := section.Size(md)
	for name, values := range md {
		if strings.HasSuffix(name, "-bin") {
			for _, v := range values {
				n += base64.RawStdEncoding.EncodedLen(len(v)) - len(v)
			}
		}
	}
	return n
}

// incoming tells whether a call came with tokens or receipts.
func incoming(ctx context.Context) bool {
	return len(metadata.ValueFromIncomingContext(ctx, core.CarrierTokens)) > 0 ||
		len(metadata.ValueFromIncomingContext(ctx, receiptsKey)) > 0
}

// quietTransport is a call's transport as its handler finds it, for grpc.SetHeader and its
// like: tokens of others do not pass.
type quietTransport struct{ grpc.ServerTransportStream }

// SetHeader implements grpc.ServerTransportStream.
func (t *quietTransport) SetHeader(md metadata.MD) error {
	return t.ServerTransportStream.SetHeader(without(md))
}

// SendHeader implements grpc.ServerTransportStream.
func (t *quietTransport) SendHeader(md metadata.MD) error {
	return t.ServerTransportStream.SendHeader(without(md))
}

// SetTrailer implements grpc.ServerTransportStream.
func (t *quietTransport) SetTrailer(md metadata.MD) error {
	return t.ServerTransportStream.SetTrailer(without(md))
}

// TransportContext returns a handler's context with grpc-go's own transport in it, for
// grpc.SetSendCompressor and grpc.ClientSupportedCompressors, which know no other:
//
//	err := grpc.SetSendCompressor(grpcect.TransportContext(ctx), "gzip")
//
// Metadata that is set through it goes out as it is, tokens of others included.
func TransportContext(ctx context.Context) context.Context {
	for {
		t, ok := grpc.ServerTransportStreamFromContext(ctx).(*quietTransport)
		if !ok {
			return ctx
		}
		ctx = grpc.NewContextWithServerTransportStream(ctx, t.ServerTransportStream) //nolint:fatcontext // once for each service on the server
	}
}

// evidenceOf is what the connection authenticated.
func evidenceOf(p *peer.Peer) core.Evidence {
	if p == nil {
		return core.Evidence{}
	}
	if t, ok := p.AuthInfo.(credentials.TLSInfo); ok {
		return core.Evidence{Peer: tlspeer.Identity(&t.State)}
	}
	return core.Evidence{}
}
