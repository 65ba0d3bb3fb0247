-- Arguments: a file with the request's printf template; every conversion takes the request's number.
local number, format, template = 0, string.format, nil

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   template = file:read("*a")
   file:close()
end

function request()
   number = number + 1
   local n = number
   return format(template, n, n, n, n, n, n, n)
end

function done(summary)
   local errors = summary.errors
   io.write(format('{"requests":%d,"duration_us":%d,"errors":%d}\n', summary.requests, summary.duration,
                   errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
