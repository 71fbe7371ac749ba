#include "apps/alerts/mqtt_client.h"

#include <errno.h>
#include <fmt/format.h>
#include <mosquitto.h>
#include <netdb.h>
#include <poll.h>

#include <cstring>
#include <random>
#include <utility>

#include "apps/common/program.h"

namespace maskwatch::apps {
namespace {

constexpr int kKeepAlive = 15;      // seconds
constexpr double kAnswerTime = 10;  // seconds for the broker's answer to a connection
constexpr double kLook = .05;       // seconds between looks at a connection that is being made
constexpr int kQos = 1;
constexpr const char* kOffline = "offline";

// What connection replies of MQTT 3.1.1 mean.
enum Reply { accepted = 0, unavailable = 3, bad_password = 4, not_authorised = 5 };

void start_library() {
  static const int once = mosquitto_lib_init();
  if (once != MOSQ_ERR_SUCCESS) throw std::runtime_error("--mqtt: libmosquitto cannot be used");
}

// Two programs with one name would throw each other out.
std::string client_name() {
  std::random_device random;
  return fmt::format("maskwatch-{:08x}", random());
}

// "certificate verify failed" of "OpenSSL Error[0]: error:0A000086:SSL routines::certificate verify
// failed".
std::string plain_error(const std::string& logged) {
  const std::size_t parts = logged.rfind("::");
  return parts == std::string::npos ? logged : logged.substr(parts + 2);
}

void require(int code, const std::string& what) {
  if (code != MOSQ_ERR_SUCCESS)
    throw UsageError("--mqtt: " + what + ": " + mosquitto_strerror(code));
}

}  // namespace

struct MqttClient::Session {
  mosquitto* handle = nullptr;
  MqttAddress address;
  bool begun = false;     // a connection was asked for
  bool answered = false;  // by the broker, to the latest
  bool connected = false;
  int reply = accepted;
  std::string last_error;  // of the library's log
  std::vector<int> acknowledged;

  ~Session() { mosquitto_destroy(handle); }
  void check(int code);
  MqttFailure failure(int code) const;
  MqttFailure refusal() const;
};

void MqttClient::Session::check(int code) {
  if (code == MOSQ_ERR_SUCCESS || code == MOSQ_ERR_CONN_PENDING) return;
  connected = false;
  throw failure(code);
}

MqttFailure MqttClient::Session::failure(int code) const {
  switch (code) {
    case MOSQ_ERR_EAI:
    case MOSQ_ERR_LOOKUP:
      return {"the name of the host is not known", false};
    case MOSQ_ERR_ERRNO:
      return {std::strerror(errno), false};
    case MOSQ_ERR_TLS:
    case MOSQ_ERR_TLS_HANDSHAKE:
      return {
          "no TLS connection with the broker" + (last_error.empty() ? "" : " (" + last_error + ")"),
          true};
    case MOSQ_ERR_CONN_LOST:
    case MOSQ_ERR_PROTOCOL:
    case MOSQ_ERR_MALFORMED_PACKET:
      if (!answered && begun)
        return {address.tls ? "the broker closed the connection at once"
                            : "the broker closed the connection at once (mqtts:// if it wants TLS)",
                false};
      return {"the connection broke", false};
    case MOSQ_ERR_KEEPALIVE:
      return {"the broker does not answer any more", false};
    default:
      return {mosquitto_strerror(code), false};
  }
}

MqttFailure MqttClient::Session::refusal() const {
  switch (reply) {
    case bad_password:
      return {"the broker refuses the user name or the password", true};
    case not_authorised:
      return {"the broker does not let this user in (is the password missing or wrong?)", true};
    case unavailable:
      return {"the broker is not available", false};
    default:
      return {std::string("the broker refuses the connection: ") + mosquitto_connack_string(reply),
              true};
  }
}

bool has_mqtt() { return true; }

MqttClient::MqttClient(const MqttOptions& options, const std::string& will_topic)
    : session_(std::make_unique<Session>()) {
  start_library();
  Session& s = *session_;
  s.address = options.address;
  s.handle = mosquitto_new(client_name().c_str(), true, &s);
  if (s.handle == nullptr) throw std::bad_alloc();
  if (!options.address.user.empty())
    require(
        mosquitto_username_pw_set(s.handle, options.address.user.c_str(),
                                  options.password.empty() ? nullptr : options.password.c_str()),
        "the user name or password");
  require(mosquitto_will_set(s.handle, will_topic.c_str(), static_cast<int>(std::strlen(kOffline)),
                             kOffline, kQos, true),
          "the topic");
  // Events are small: they must not wait for one another's acknowledgements in TCP.
  require(mosquitto_int_option(s.handle, MOSQ_OPT_TCP_NODELAY, 1), "TCP");
  if (options.address.tls && options.ca_file.empty())
    require(mosquitto_int_option(s.handle, MOSQ_OPT_TLS_USE_OS_CERTS, 1), "TLS");
  else if (options.address.tls)
    require(
        mosquitto_tls_set(s.handle, options.ca_file.c_str(), nullptr, nullptr, nullptr, nullptr),
        "--mqtt-ca " + options.ca_file);
  mosquitto_connect_callback_set(s.handle, [](mosquitto*, void* session, int reply) {
    auto& s = *static_cast<Session*>(session);
    s.answered = true;
    s.reply = reply;
    s.connected = reply == accepted;
  });
  mosquitto_disconnect_callback_set(s.handle, [](mosquitto*, void* session, int) {
    static_cast<Session*>(session)->connected = false;
  });
  mosquitto_publish_callback_set(s.handle, [](mosquitto*, void* session, int number) {
    static_cast<Session*>(session)->acknowledged.push_back(number);
  });
  mosquitto_log_callback_set(s.handle, [](mosquitto*, void* session, int level, const char* text) {
    if (level == MOSQ_LOG_ERR) static_cast<Session*>(session)->last_error = plain_error(text);
  });
}

MqttClient::~MqttClient() = default;

void MqttClient::connect(Delivery& delivery) {
  Session& s = *session_;
  s.answered = s.connected = false;
  s.reply = accepted;
  s.last_error.clear();
  // Not the asynchronous form: it knows only the first address of a host.
  const int code =
      s.begun ? mosquitto_reconnect(s.handle)
              : mosquitto_connect(s.handle, s.address.host.c_str(), s.address.port, kKeepAlive);
  s.begun = true;
  s.check(code);
  const Clock::time_point start = Clock::now();
  while (!s.answered) {
    if (delivery.out_of_time() || seconds_since(start) > kAnswerTime) {
      throw MqttFailure("the broker does not answer", false);
    }
    work(delivery, kLook);
  }
  if (s.reply != accepted) throw s.refusal();
}

bool MqttClient::connected() const { return session_->connected; }

int MqttClient::publish(const std::string& topic, std::string_view bytes, bool retained) {
  int number = 0;
  const int code = mosquitto_publish(session_->handle, &number, topic.c_str(),
                                     static_cast<int>(bytes.size()), bytes.data(), kQos, retained);
  // Of other errors the library keeps the message: it is sent over the next connection.
  for (const int lost : {MOSQ_ERR_INVAL, MOSQ_ERR_NOMEM, MOSQ_ERR_PAYLOAD_SIZE,
                         MOSQ_ERR_MALFORMED_UTF8, MOSQ_ERR_OVERSIZE_PACKET})
    if (code == lost)
      throw std::invalid_argument(std::string("cannot be published: ") + mosquitto_strerror(code));
  return number;
}

void MqttClient::work(Delivery& delivery, double seconds) {
  Session& s = *session_;
  const int descriptor = mosquitto_socket(s.handle);
  if (descriptor < 0) s.check(s.reply != accepted ? MOSQ_ERR_SUCCESS : MOSQ_ERR_CONN_LOST);
  const bool writes = mosquitto_want_write(s.handle);
  delivery.wait(seconds, descriptor, static_cast<short>(POLLIN | (writes ? POLLOUT : 0)));
  errno = 0;
  // Whatever poll says: TLS may hold bytes that the socket has given up already.
  int code = mosquitto_loop_read(s.handle, 1);
  if (code == MOSQ_ERR_SUCCESS && mosquitto_want_write(s.handle))
    code = mosquitto_loop_write(s.handle, 1);
  if (code == MOSQ_ERR_SUCCESS) code = mosquitto_loop_misc(s.handle);
  if (s.answered && s.reply != accepted) return;  // connect() says why it was
  s.check(code);
}

std::vector<int> MqttClient::take_acknowledged() {
  return std::exchange(session_->acknowledged, {});
}

void MqttClient::disconnect() {
  mosquitto_disconnect(session_->handle);
  session_->connected = false;
}

}  // namespace maskwatch::apps
