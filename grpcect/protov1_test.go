// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/proto"
)

// protoV1 is a codec for protobuf of grpc-go's first interface, as generators of faster
// serializers have it.
type protoV1 struct{}

func (protoV1) Name() string { return "proto" }

func (protoV1) Marshal(v any) ([]byte, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no message", v)
	}
	return proto.Marshal(m)
}

func (protoV1) Unmarshal(data []byte, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no message", v)
	}
	return proto.Unmarshal(data, m)
}

func registerProtoV1() { encoding.RegisterCodec(protoV1{}) }

// TestRegisteredProtoV1: a codec for protobuf that the program registered in the place of
// grpc-go's own is the one that both sides use, also if it has the first interface.
func TestRegisteredProtoV1(t *testing.T) {
	if inProcess(t, "proto of the first interface") {
		TestPair(t)
	}
}
