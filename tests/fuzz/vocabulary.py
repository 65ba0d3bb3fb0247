"""The words that messages are made of: what is usual first, then what readers of HTTP disagree about."""

METHODS = (
    b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"FOO", b"TRACE", b"CONNECT", b"get", b"PRI",
)  # fmt: skip
TARGETS = (
    b"/%b", b"/%b?x=%%2B+&y=[]|^{}", b"http://a/%b", b"http://o:81?%b", b"/%b/../a%%2Fb//%%zz", b"*", b"http://a",
    b"HTTP://[::1]:8/%b", b"/%b#f", b"https://a/%b", b"http://u@a/%b", b"//a/%b", b"/%b\xff", b"a:80", b"http:///%b",
)  # fmt: skip
VERSIONS = (
    b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/1.9", b"HTTP/0.9", b"HTTP/2.0", b"http/1.1", b"HTTP/1.10", b"",
)  # fmt: skip
NUMBERS = (
    b"0", b"1", b"3", b"5", b"05", b"+5", b"-1", b"-0", b"0x5", b"5_0", b"5 5", b"5, 5", b"5,6", b"", b"5;", b"\t5 ",
    b"2147483648", b"4294967301", b"9223372036854775807", b"9223372036854775808", b"18446744073709551621",
    b"00000000000000000005", b"1e1", b"\xb2", b"5.0", b"ffffffffffffffff", b"7fffffffffffffff", b"10000000000000005",
    b"5\x0b",
)  # fmt: skip
HOSTS = (b"a", b"a:80", b"[::1]:8", b"A.b", b"a,b", b"u@a", b"", b"a b", b"a:99999", b"a/b", b"1.2.3.4")
CODINGS = (
    b"chunked", b"Chunked", b"chunked ", b"gzip, chunked", b"chunked, chunked", b"xchunked", b"identity", b"gzip",
    b"\x0bchunked", b"chunked;x", b"", b"chunked,", b",chunked", b"chunked\t", b"chunke\xc4", b'"chunked"',
)  # fmt: skip
CONNECTIONS = (
    b"close", b"keep-alive", b"Keep-Alive, X-Hop", b"CLOSE", b"close, keep-alive", b"upgrade", b"content-length",
    b"host", b"x-token", b"transfer-encoding", b'"close"', b",", b"te, close", b"x-hop,,x-b", b"close;x", b"TE",
    b"cookie", b"trailer", b"date", b"expect", b"x-shadow-request", b"max-forwards",
)  # fmt: skip
REQUEST_FIELDS = (
    b"Accept: */*", b"X-B: 1", b"x-b: 2", b"X-B:3", b"X-Empty:", b"X-Obs: \xe4\xff", b"Cookie: a=b", b"X-Hop: gone",
    b"X_Under: 1", b"TE: trailers", b"TE: trailers;q=0.5, gzip", b"TE: gzip", b"Trailer: X-T", b"Expect: 100-continue",
    b"Upgrade: h2c", b"Upgrade: websocket", b"HTTP2-Settings: x", b"Via: 1.1 other", b"X-Forwarded-For: 1.2.3.4",
    b"Forwarded: for=1.2.3.4", b"X-Forwarded-Host: b", b"Max-Forwards: 0", b"Max-Forwards: 3", b"Proxy: x",
    b"Proxy-Authorization: x", b"Proxy-Connection: keep-alive", b"Keep-Alive: timeout=5", b"X-Shadow-Request: 1",
    b"Content-Type: a/b", b"Date: now", b"X-Long: " + b"l" * 300, b"X-Tabs:\t 1 \t", b"Authorization: x",
    b"Content-Encoding: gzip", b"Range: bytes=0-1", b"If-Match: x",
    b"Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"traceparent: x",
)  # fmt: skip
PASSING_FIELDS = (
    b"Accept: */*", b"X-B: 1", b"x-b: 2", b"X-B:3", b"X-Empty:", b"X-Obs: \xe4\xff", b"Cookie: a=b", b"X_Under: 1",
    b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"Content-Type: a/b", b"X-Tabs:\t 1 \t", b"Authorization: x",
    b"Range: bytes=0-1", b"If-Match: x", b"ETag: x", b"Vary: *", b"Age: 1", b"SERVER: s", b"Connection: close",
    b"Connection: keep-alive", b"Keep-Alive: timeout=5", b"Via: 1.1 other", b"TE: gzip", b"Proxy: x", b"Upgrade: h2c",
)  # fmt: skip
"""Those that mean the same in both directions, and take no others with them."""
RARE_FIELDS = (
    b"Via: 1.1 shadow-proxy-c0ffee", b"Content_Length: 5", b"Transfer_Encoding: chunked", b"Max-Forwards: x",
    b"Host: b", b"Expect: 200-maybe",
)  # fmt: skip
BAD_FIELDS = (
    b"X-Space : 1", b" Folded: 1", b"\tFolded", b"NoColon", b": empty", b"Bad[Name: 1", b"X-Nul: \x00", b"X-Ctl: \x01",
    b"X-Del: \x7f", b"X-Vt:\x0b1", b"X-Cr: a\rb", b"X-Lf: a\nb", b"\xe4: 1", b"Content-Length : 5",
    b"Transfer-Encoding : chunked", b"Transfer-Encoding:\x0bchunked", b"Content-Length\x00: 5",
    b"Transfer-Encoding\r: chunked", b"X: a\r\n b", b"Content-Length:\r\n 5", b"Transfer-Encoding:\n chunked",
)  # fmt: skip
TRAILERS = (
    b"X-T: 1", b"X-U:", b"X-B: 1", b"Content-Length: 5", b"Host: b", b"Transfer-Encoding: chunked", b"X-Hop: gone",
    b"Cookie: c",
    b"Expires: 0", b"ETag: x", b"X-Token: <t>", b"X_Under: 1", b"Content_Length: 1", b"Connection: close",
    b"X-Shadow-Request: 1", b"TE: trailers", b"Via: x",
)  # fmt: skip
EXTENSIONS = (
    b"", b";x", b";x=y", b';x="a;b\\""', b" ; x = y ", b';x="\xff"', b";", b";x=", b" ", b";\x00", b";x\n",
    b";" + b"e" * 40, b"\t;x",
)  # fmt: skip
STATUSES = (
    b"200 OK", b"404 Not", b"204 No", b"304 Not", b"500 E", b"200 ", b"200", b"200 \xe4\t", b"999 Odd", b"206 P",
    b"301 M", b"401 U", b"413 L",
)  # fmt: skip
INTERIMS = (b"100 Continue", b"103 Early", b"102 P", b"199 X", b"101 Switching Protocols", b"100")
BAD_STATUS_LINES = (
    b"HTTP/1.1 099 Low", b"HTTP/1.1 1000 High", b"HTTP/1.1 20 Short", b"HTTP/2.0 200 OK", b"ICY 200 OK",
    b"http/1.1 200 OK", b"HTTP/1.1  200 OK", b"HTTP/1.1 200\tOK", b"HTTP/1.1 +20 OK", b"HTTP/1.1 2 0 OK", b"",
    b"HTTP/1.1", b" HTTP/1.1 200 OK", b"HTTP/1.12 200 OK", b"HTTP/1.1 200 \x00",
)  # fmt: skip
ANSWER_FIELDS = (
    b"Content-Type: a/b", b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"X-Hop: gone",
    b"Date: Thu, 01 Jan 1970 00:00:00 GMT", b"Keep-Alive: timeout=5", b"Keep-Alive: timeout=0", b"Connection: close",
    b"Connection: keep-alive", b"Trailer: X-T", b"Upgrade: h2c", b"Proxy-Authenticate: x", b"Server: s", b"X_Under: 1",
    b"Content_Length: 5", b"X-Obs: \xe4", b"X-Empty:", b"Connection: x-hop, set-cookie", b"Connection: date",
    b"Connection: trailer", b"Vary: *", b"Content-Encoding: gzip", b"Age: 1",
    b"Connection: content-length, transfer-encoding", b"X-Long: " + b"l" * 300, b"TE: x", b"Via: 1.1 x",
    b"Connection: server", b"Connection: x-token",
)  # fmt: skip
INTERIM_COUNTS = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 20)
ODD_ENDS = (b"\n", b"\r", b"", b"\r\n\r\n", b"x\r\n", b"\r\r\n", b"\n\r", b"\r\n ", b"\0\r\n", b" \r\n", b"\t\r\n")
