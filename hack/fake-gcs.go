// fake-gcs-server on a port of its own choice, which it prints. The address that it gives for the parts of a large upload
// has that port, or -public, also for clients that leave it out of Host, as Google's own for Rust does.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

func main() {
	public := flag.String("public", "", "host and port that clients use")
	flag.Parse()
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true})
	check(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	if *public == "" {
		*public = listener.Addr().String()
	}
	fmt.Println(listener.Addr())
	handler := server.HTTPHandler()
	check(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = *public
		handler.ServeHTTP(w, r)
	})))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
